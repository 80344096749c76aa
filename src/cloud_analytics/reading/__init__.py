"""Read a lake without Spark: DuckDB reads its Parquet files, Python reads the landing files. Nothing is written."""
