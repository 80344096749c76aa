"""Where Gold is served: a store, the keyspace in it, and what this store can take."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cloud_analytics.errors import StoreUnavailable, UsageError
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.runtime.backoff import Backoff
from cloud_analytics.serving import schema
from cloud_analytics.serving.access import Access, Direct
from cloud_analytics.serving.connect import StoreWaking, connect, connected, disconnect, readable_errors
from cloud_analytics.serving.node import HOST, EmbeddedNode
from cloud_analytics.serving.queries import NothingServed, served
from cloud_analytics.serving.tables import KEYSPACE, tables

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from cloud_analytics.config import Config

ASTRA_KEYSPACE = "ASTRA_DB_KEYSPACE"  # the environment variable
SIMPLE = {"class": "SimpleStrategy", "replication_factor": "1"}


@dataclass(frozen=True)
class Target:
    """A store, and what of it differs from others: nobody asks which one it is, only what it can do."""

    access: Access
    keyspace: str = KEYSPACE
    replication: Mapping[str, str] | None = None  # a missing keyspace is created with it; None: it never is
    where_to_create: str = "create it there"  # told where the keyspace is missing and is not created
    left_out: frozenset[str] = frozenset()  # table options that the store would refuse
    requests_per_second: int | None = None  # what it takes; None: as much as comes
    monthly_writes: int | None = None  # how many are paid for

    @contextmanager
    def session(self, patience: timedelta = timedelta(0)) -> Iterator[Session]:
        """A driver session in the keyspace, to ask. A store that wakes up is waited for.

        NothingServed if nothing ever was.
        """
        backoff = Backoff(patience)
        while True:
            try:
                session = connect(self.access)
                break
            except StoreWaking as error:
                backoff.wait(error)
        try:
            with served():
                if not self._use(session):
                    raise NothingServed
                yield session
        finally:
            disconnect(session)

    @contextmanager
    def writing_session(self) -> Iterator[Session]:
        """A driver session in the keyspace, with all tables; what is missing is created.

        UsageError where a table is not what its mart declares, or the keyspace has to be created elsewhere.
        """
        with connected(self.access) as session:
            with readable_errors(f"cannot create the tables in keyspace {self.keyspace}"):
                if not self._use(session):
                    options = ", ".join(f"'{name}': '{value}'" for name, value in (self.replication or {}).items())
                    create = f"CREATE KEYSPACE IF NOT EXISTS {self.keyspace} WITH replication = {{{options}}}"
                    session.execute(create)
                    session.set_keyspace(self.keyspace)
                found = schema.found_tables(session, self.keyspace)
                schema.check(found, self.keyspace)
                for table in tables().values():
                    if table.name not in found:
                        session.execute(table.statement(self.left_out))
            yield session

    @contextmanager
    def looking_session(self) -> Iterator[tuple[Session, dict[str, schema.Found]]]:
        """A driver session that creates nothing, and the tables that are there; UsageError as `writing_session`."""
        with connected(self.access) as session:
            with readable_errors(f"cannot look at keyspace {self.keyspace}"):
                found = schema.found_tables(session, self.keyspace) if self._use(session) else {}
                schema.check(found, self.keyspace)
            yield session, found

    def connector_options(self) -> dict[str, str]:
        """What a write or read through the Spark Cassandra Connector needs to get here."""
        return {
            "keyspace": self.keyspace,
            "spark.cassandra.input.consistency.level": "LOCAL_QUORUM",
            "spark.cassandra.output.consistency.level": "LOCAL_QUORUM",
            **self.access.connector_options(),
        }

    def _use(self, session: Session) -> bool:
        """Make the keyspace the session's; False if it is not there and may be created."""
        query = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = %s"
        if session.execute(query, [self.keyspace]).one() is not None:
            session.set_keyspace(self.keyspace)
            return True
        if self.replication is None:
            raise UsageError(f"{self.access} has no keyspace {self.keyspace!r}: {self.where_to_create}")
        return False


def local_target(port: int, keyspace: str = KEYSPACE) -> Target:
    """The embedded node on this port."""
    return Target(Direct((HOST,), port), keyspace, SIMPLE)


@contextmanager
def open_target(config: Config, lake: str, choice: str | None = None) -> Iterator[Target | None]:
    """The target that `choice`, or else the configuration, names, ready to be loaded; None for `none`.

    What can be wrong with it is told now, not after hours of work: settings and secrets, a login that is refused, a
    keyspace that is missing, tables of another schema. A store that is away is no error yet: a load waits for it.
    """
    with _chosen(config, lake, choice) as target:
        if target is not None:
            with contextlib.suppress(StoreUnavailable), target.looking_session():
                pass
        yield target


@contextmanager
def open_session(config: Config, lake: str, choice: str | None = None) -> Iterator[Session]:
    """A driver session for questions; UsageError or NothingServed where nothing is or was served."""
    if (choice or config.pipeline.serving.target) == "embedded" and not embedded_node(lake).has_data:
        raise NothingServed  # a node would have to start only to say the same
    with _chosen(config, lake, choice) as target:
        if target is None:
            raise UsageError(
                "the serving target is `none`: choose another one with --serving, or in conf/pipeline.yaml"
            )
        with target.session(config.pipeline.serving.patience) as session:
            yield session


@contextmanager
def _chosen(config: Config, lake: str, choice: str | None) -> Iterator[Target | None]:
    """The embedded node is started when it does not run, and ends with its last user."""
    settings = config.pipeline.serving
    name = choice or settings.target
    if name == "none":
        yield None
    elif name == "embedded":
        with embedded_node(lake).in_use() as port:
            yield local_target(port)
    else:
        from cloud_analytics.serving import remote  # and what it needs to check certificates

        yield remote.TARGETS[name](settings, os.environ)


def keyspace_of(config: Config, choice: str | None = None) -> str:
    """The keyspace of a target, for who only wants to name it."""
    settings = config.pipeline.serving
    names = {"cassandra": settings.cassandra.keyspace, "astra": os.environ.get(ASTRA_KEYSPACE)}
    return names.get(choice or settings.target) or KEYSPACE


def embedded_node(lake: str) -> EmbeddedNode:
    """The node of a lake; UsageError where the lake is no local folder."""
    folder = local_folder(lake)
    if folder is None:
        raise UsageError(f"the embedded node needs a local lake, and {lake} is none: give a folder with --lake")
    return EmbeddedNode(folder / "_cassandra")
