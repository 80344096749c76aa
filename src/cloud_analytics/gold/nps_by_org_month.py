"""Net promoter scores by organisation and month of the survey."""

from __future__ import annotations

from cloud_analytics.gold.measures import month, ratio
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Table, Whole
from cloud_analytics.tables.columns import COUNT, MONTH, NPS, ORG_ID, RATIO

TABLE = Table(
    "nps_by_org_month",
    key=("org_id", "month"),
    columns=(
        ORG_ID,
        MONTH,
        Column("surveys", "bigint", "survey answers of the month", COUNT),
        Column("avg_nps", RATIO, "mean of the scores, −100 to 100", NPS),
    ),
    reads=(Whole("silver/nps_surveys"),),
)


def build(surveys: DataFrame) -> DataFrame:
    """silver/nps_surveys → one row per (org, month); avg_nps (−100 to 100) is the mean of the surveys with a score."""
    sums = surveys.groupBy("org_id", month("survey_date").alias("month")).agg(
        F.count("*").alias("surveys"), ratio(F.sum("nps_score"), F.count("nps_score")).alias("avg_nps")
    )
    return TABLE.select(sums)
