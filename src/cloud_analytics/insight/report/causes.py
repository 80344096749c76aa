"""Anomalous days with their cause in words: the one place from which the report takes them."""

from __future__ import annotations

import pandas as pd

from cloud_analytics.gold.build import SCHEMAS, table
from cloud_analytics.insight.alerts import reason
from cloud_analytics.lake.lake import Lake

MART = "cost_anomaly_mart"


def anomalies(lake: Lake) -> pd.DataFrame:
    """Rows of cost_anomaly_mart, largest impact first, with a `reason`; those without an expectation come last."""
    frame = lake.read(table(MART), SCHEMAS[MART]).toPandas()
    order = ["impact_usd", "usage_date", "org_id", "service"]
    frame = frame.sort_values(order, ascending=[False, True, True, True], ignore_index=True)  # nulls last
    return with_reasons(frame)


def with_reasons(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the mart, with the words that the alerts have for them."""
    reasons = [reason({str(name): value for name, value in row.items()}) for row in frame.to_dict("records")]
    return frame.assign(reason=pd.Series(reasons, frame.index, dtype=object))
