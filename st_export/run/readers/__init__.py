"""One reader for each kind of source: from a position to committed units."""
