"""The look-alike's digest: one JSON file a module."""
