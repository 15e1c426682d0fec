"""A ServiceTitan look-alike on loopback, with made-up tenants, limits and faults.

In tests: `async with serve(SimulateOptions(rows=200)) as look_alike`; for benchmarks and kill tests `with start_in_process(…)`;
from a shell `python -m st_export.simulate --rows 2000`. It imports nothing else of this package.
"""
