"""The assembly of a run: coordinator, tenants, workers, outcome, summary."""
