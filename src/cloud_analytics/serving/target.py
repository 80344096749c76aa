"""Where Gold is served: a session on the target that the configuration or the caller names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloud_analytics.config import Config
from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.serving.connect import connected
from cloud_analytics.serving.node import HOST, EmbeddedNode
from cloud_analytics.serving.queries import NOTHING_SERVED
from cloud_analytics.serving.tables import KEYSPACE

if TYPE_CHECKING:
    from cassandra.cluster import Session


@contextmanager
def open_session(config: Config, lake: str, serving: str | None = None) -> Iterator[Session]:
    """A session with the keyspace set; the embedded node is left as it was found, running or not."""
    target = serving or config.pipeline.serving.target
    if target in ("cassandra", "astra"):
        raise UsageError(f"serving from {target} is not there yet: use --serving embedded")
    if "://" in lake:
        raise UsageError(f"the embedded node needs a local lake, and {lake} is none: give a folder with --lake")
    home = Path(lake).resolve() / "_cassandra"
    if not (home / "data").is_dir():  # a node would have to start only to say the same
        raise PipelineError(NOTHING_SERVED)
    node = EmbeddedNode(home)
    was_running = node.status()["running"]
    try:
        with connected(HOST, node.start(), keyspace=KEYSPACE) as session:
            yield session
    finally:
        if not was_running:
            node.stop()
