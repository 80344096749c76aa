"""A lake as it is read, never written: DuckDB over its Parquet, and the files of landing beside it. Without Spark."""
