"""Listeners of the run events: progress, lines, logs, the HTML report."""
