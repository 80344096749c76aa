"""The data source of the pages: the serving tables, through one session that all pages share, and the lake."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from cloud_analytics.config import Config
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.files import is_read_by_python, open_files
from cloud_analytics.reading.checks import Check
from cloud_analytics.reading.figures import figures_to_distrust
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.serving import queries
from cloud_analytics.serving.target import expect_own_rows, open_session

if TYPE_CHECKING:
    from cassandra.cluster import Session

_OWN = 60.0  # seconds between two checks that the keyspace still holds this lake's rows
_KEPT = 3600.0  # seconds for which the result of a scan is cached

Found = TypeVar("Found")


class Source(ExitStack):
    """The serving tables and the lake. It connects at the first query, so that pages can first say what is missing."""

    current: ClassVar[Source]
    """The source of all pages of this process."""

    def __init__(self, config: Config, lake: str, serving: str | None = None) -> None:
        super().__init__()
        self.config, self.folder, self.serving = config, lake, serving
        self._turn = RLock()
        self._session: Session | None = None
        self._looked = 0.0
        self._kept: dict[object, tuple[float, Any]] = {}

    @property
    def session(self) -> Session:
        """The session that all pages share. Opening it starts the embedded node if it is not running.

        NothingServed if nothing was served yet. UsageError if another lake has taken over the keyspace.
        """
        with self._turn:
            if self._session is None:
                self._session = self.enter_context(open_session(self.config, self.folder, self.serving))
                self._looked = time.monotonic()
            elif time.monotonic() - self._looked > _OWN:
                expect_own_rows(self._session, self.config, self.folder, self.serving)
                self._looked = time.monotonic()
            return self._session

    def ask(self, question: str, org: str | None = None, **asked: Any) -> queries.Answer:
        """Run a prepared query, which reads one partition, and return the answer."""
        return queries.ask(self.session, question, org, **asked)

    def months(self) -> list[str]:
        """The months with usage of the provider, newest first. NothingServed if there are none."""
        found = queries.partitions(self.session, "provider", "month")
        if not found:
            raise queries.NothingServed
        return found

    def tag_keys(self, org: str) -> list[str]:
        """The tag keys of an organisation, sorted; cached for an hour."""
        return self._keep(org, lambda: sorted(queries.partitions(self.session, "tags", "tag_key", org_id=org)))

    def lake(self) -> LakeReader:
        """A new reader of the lake. UsageError if only Spark can read the lake."""
        conf = self.config.pipeline.spark.conf
        if not is_read_by_python(self.folder, conf):
            raise UsageError(f"the lake {self.folder} is reached by Spark alone: see `cloud-analytics lateness`")
        return LakeReader(open_files(self.folder, conf))

    def signals(self) -> list[Check]:
        """The checks F1 to F4: whether tokens, carbon, invoices and currencies are informative; cached for an hour."""
        return self._keep(None, lambda: figures_to_distrust(self.lake()))

    def _keep(self, key: object, find: Callable[[], Found]) -> Found:
        """The cached result of `find` if it is at most an hour old, else a new one."""
        found = self._kept.get(key)
        if found is None or time.monotonic() - found[0] > _KEPT:
            found = self._kept[key] = time.monotonic(), find()
        return found[1]
