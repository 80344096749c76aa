"""Anomalous days with their cause in words: the one place from which the report takes them."""

from __future__ import annotations

import pandas as pd

from cloud_analytics.insight.alerts import MART, reason
from cloud_analytics.reading.lake import LakeReader


def anomalies(lake: LakeReader) -> pd.DataFrame:
    """Rows of cost_anomaly_mart, largest impact first, with a `reason`; those without an expectation come last."""
    order = "impact_usd DESC NULLS LAST, usage_date, org_id, service"
    return with_reasons(lake.frame(f"SELECT * FROM gold.{MART} ORDER BY {order}"))


def with_reasons(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the mart, with the words that the alerts have for them."""
    reasons = [reason({str(name): value for name, value in row.items()}) for row in frame.to_dict("records")]
    return frame.assign(reason=pd.Series(reasons, frame.index, dtype=object))
