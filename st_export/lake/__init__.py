"""The lake as it lies there: verify, compact, query, views, description."""
