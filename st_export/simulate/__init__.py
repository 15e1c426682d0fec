"""A ServiceTitan look-alike on loopback, with a made-up tenant, limits and faults."""
