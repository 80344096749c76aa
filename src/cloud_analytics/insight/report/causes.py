"""Anomalous days with their cause in words: the one place from which the report takes them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cloud_analytics.gold.build import SCHEMAS, table
from cloud_analytics.storage.lake import Lake

MART = "cost_anomaly_mart"


def anomalies(lake: Lake) -> pd.DataFrame:
    """Rows of cost_anomaly_mart, largest impact first, with a `reason`; those without an expectation come last."""
    frame = lake.read(table(MART), SCHEMAS[MART]).toPandas()
    order = ["impact_usd", "usage_date", "org_id", "service"]
    frame = frame.sort_values(order, ascending=[False, True, True, True], ignore_index=True)  # nulls last
    reasons = [_reason(row) for row in frame.itertuples()]
    return frame.assign(reason=pd.Series(reasons, frame.index, dtype=object))


def _reason(row: Any) -> str:
    """Why a day stands out, from what the mart knows of it."""
    culprit = f"{row.top_resource_id} cost {row.top_resource_cost_usd:,.2f} USD"
    if not row.anomalous_events:
        return f"The whole day is dear, no single event stands out; the costliest resource, {culprit}."
    events = f"{row.anomalous_events} anomalous event{'' if row.anomalous_events == 1 else 's'}"
    price = ", far above the usual unit price" if row.unit_price_events else ", above the usual cost level"
    return f"{events} of {row.anomalous_cost_usd:,.2f} USD{price}; {culprit} that day."
