"""The flow of a lake in figures: what each zone holds of what landed."""

from __future__ import annotations

import pandas as pd

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.gold import marts
from cloud_analytics.reading.audit import Audit
from cloud_analytics.reading.lake import LakeReader, each_source
from cloud_analytics.reading.tables import SOURCES


def flow(lake: LakeReader, law: Audit) -> pd.DataFrame:
    """How many tables and rows each zone holds, in the order of the flow; `law` is the audit of the same lake.

    Columns: `zone`, `part` (events, masters or all), `tables`, `rows`. Bronze holds every snapshot of a master. Serving
    tables are not asked: they hold the rows of their marts (law 6).
    """
    held = {}
    for zone, names in (("bronze", SOURCES), ("gold", tuple(marts()))):
        counts = each_source(f"SELECT '{{source}}' AS name, count(*) AS rows FROM {zone}.{{source}}", names)
        held[zone] = {row["name"]: row["rows"] for row in lake.rows(counts)}
    served = [name for name, mart in marts().items() if mart.table.serving]
    rows: list[tuple[str, str, int, int]] = []
    for part, names in (("events", (EVENTS,)), ("masters", MASTERS)):
        sources = [law.sources[name] for name in names]
        rows += [
            ("landing", part, len(names), sum(source.landing for source in sources)),
            ("bronze", part, len(names), sum(held["bronze"][name] for name in names)),
            ("silver", part, len(names), sum(source.silver for source in sources)),
            ("quarantine", part, len(names), sum(sum(source.quarantine.values()) for source in sources)),
        ]
    rows += [
        ("gold", "all", len(marts()), sum(held["gold"].values())),
        ("serving", "all", len(served), sum(held["gold"][name] for name in served)),
    ]
    return pd.DataFrame(rows, columns=["zone", "part", "tables", "rows"])
