"""Whether Spark was started by us or by `spark-submit`."""

from __future__ import annotations

import os


def submitted() -> bool:
    """`spark-submit` started this process: a JVM runs already, with the master and the settings it was given."""
    return {"PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"} <= os.environ.keys()
