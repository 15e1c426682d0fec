"""st-export: a whole ServiceTitan account into a data lake, complete, once, resumable."""
