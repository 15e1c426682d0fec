"""Bytes in, Arrow out: typed columns, and everything else in `_rescued`."""
