"""The figures of the README, as ratios of one run. `python -m benchmarks [NAME …]` runs them, prints tables and keeps JSON."""
