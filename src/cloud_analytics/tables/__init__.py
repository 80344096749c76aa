"""Declares each table once: its columns, its key, which tables it reads and how it is served.

The Parquet schema, CREATE TABLE, the list of questions, the units and headings of answers and the data dictionary are
derived from the declarations. This package needs neither a Spark session nor a connection.
"""

from cloud_analytics.tables.columns import MONEY, RATIO, Column, Unit
from cloud_analytics.tables.table import Days, Earlier, History, Mart, Read, SameDate, Serving, Table, Whole

__all__ = [
    "MONEY", "RATIO", "Column", "Days", "Earlier", "History", "Mart", "Read", "SameDate", "Serving", "Table", "Unit",
    "Whole",
]  # fmt: skip
