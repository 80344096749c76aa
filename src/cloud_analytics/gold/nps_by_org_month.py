"""Net promoter scores by organisation and month of the survey."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import month, ratio
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns("org_id string, month string, surveys bigint, avg_nps decimal(38,10)")


def build(surveys: DataFrame) -> DataFrame:
    """silver/nps_surveys → one row an (org, month); avg_nps (−100..100) over the surveys that hold a score."""
    sums = surveys.groupBy("org_id", month("survey_date").alias("month")).agg(
        F.count("*").alias("surveys"), ratio(F.sum("nps_score"), F.count("nps_score")).alias("avg_nps")
    )
    return conform(sums, SCHEMA)
