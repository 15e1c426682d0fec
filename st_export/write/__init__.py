"""Arrow in, Parquet files out: partitions, batches within a byte budget, layout of the lake."""
