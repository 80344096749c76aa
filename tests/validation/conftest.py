"""One lake for what looks at lakes: every kind of hostile input, and an organisation with lines in odd places."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.pipeline import Pipeline
from tests.conftest import MakePipeline
from tests.integration import hostile

ORG = "org_trace"


def line(event_id: str, cost: Any = 1.25, **changes: Any) -> str:
    """A good event of the traced organisation on the traced day."""
    fields = {"event_id": event_id, "org_id": ORG, "timestamp": "2025-03-03T10:00Z", "cost_usd_increment": cost}
    return json.dumps({**hostile.EVENT, **fields, **changes})


TWICE = line("t_twice", " 2.5000005 ")
OTHER = line("t_other", service="storage")
HOURS = line("t_hours", metric="cpu_hours", unit="hours", value="3.5")
TRACED: dict[str, bytes] = {
    # Blank lines, CRLF, one line twice, a rejected one, and one of another service.
    "t_crlf.jsonl": "\r\n".join(["", TWICE, "", line("t_negative", -5), TWICE, OTHER, HOURS]).encode(),
    "t_bom.jsonl": b"\xef\xbb\xbf" + (line("t_bom") + "\n" + line("t_twice", 9) + "\n").encode(),
    "t_packed.jsonl.gz": gzip.compress(("\n\n" + line("t_packed", value=None, service=" Compute ") + "\n").encode()),
    "t_gone.jsonl": (line("t_gone") + "\n").encode(),
}  # fmt: skip


@pytest.fixture(scope="package")
def pipeline(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline that has run; its landing folder is `landing` beside the lake."""
    folder: Path = tmp_path_factory.mktemp("validation [a]{b}")
    landing = folder / "landing"
    hostile.write(landing)
    for name, content in TRACED.items():
        (landing / "usage_events_stream" / name).write_bytes(content)
    made = make_pipeline(landing, folder / "lake")
    made.run()
    return made
