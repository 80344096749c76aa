"""Where Gold is served, and how the Python driver and the Spark connector reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.serving.connect import connected, readable_errors
from cloud_analytics.serving.node import HOST, EmbeddedNode
from cloud_analytics.serving.queries import NOTHING_SERVED, served
from cloud_analytics.serving.tables import KEYSPACE, tables

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from cloud_analytics.config import Config
    from cloud_analytics.runtime.jar_cache import Say


@dataclass(frozen=True)
class Target:
    """A Cassandra that answers. `replication` is the CQL map with which a missing keyspace is created."""

    hosts: tuple[str, ...]
    port: int
    keyspace: str = KEYSPACE
    local_dc: str = "datacenter1"
    replication: str = "{'class': 'SimpleStrategy', 'replication_factor': 1}"

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A driver session in the keyspace; PipelineError if nothing was ever served there."""
        with served(), connected(self.hosts, self.port, keyspace=self.keyspace, local_dc=self.local_dc) as session:
            yield session

    @contextmanager
    def writing_session(self) -> Iterator[Session]:
        """A driver session in the keyspace, with all tables; what is missing is created."""
        with connected(self.hosts, self.port, local_dc=self.local_dc) as session:
            with readable_errors(f"cannot create the tables in keyspace {self.keyspace}"):
                if not _keyspace_exists(session, self.keyspace):
                    session.execute(
                        f"CREATE KEYSPACE IF NOT EXISTS {self.keyspace} WITH replication = {self.replication}"
                    )
                session.set_keyspace(self.keyspace)
                present = table_ids(session)
                for table in tables().values():
                    if table.name not in present:
                        session.execute(table.create)
            yield session

    def connector_options(self) -> dict[str, str]:
        """What a write or read through the Spark Cassandra Connector needs to get here."""
        return {
            "keyspace": self.keyspace,
            "spark.cassandra.connection.host": ",".join(self.hosts),
            "spark.cassandra.connection.port": str(self.port),
            "spark.cassandra.connection.localDC": self.local_dc,
            "spark.cassandra.input.consistency.level": "LOCAL_QUORUM",
            "spark.cassandra.output.consistency.level": "LOCAL_QUORUM",
        }


def table_ids(session: Session) -> dict[str, str]:
    """Each serving table that exists, with the id it got when it was created: a dropped one comes back with another."""
    rows = session.execute(
        "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = %s", [session.keyspace]
    )
    return {row["table_name"]: str(row["id"]) for row in rows if row["table_name"] in tables()}


@contextmanager
def open_target(
    config: Config, lake: str, choice: str | None = None, say: Say | None = None
) -> Iterator[Target | None]:
    """The target that `choice`, or else the configuration, names, ready to use; None for `none`.

    The embedded node is started when it does not run, and ends with its last user.
    """
    if (choice or config.pipeline.serving.target) == "none":
        yield None
        return
    with embedded_node(lake).in_use(say) as port:
        yield Target((HOST,), port)


@contextmanager
def open_session(config: Config, lake: str, choice: str | None = None, say: Say | None = None) -> Iterator[Session]:
    """A driver session for questions; UsageError or PipelineError where nothing is or was served."""
    if (choice or config.pipeline.serving.target) == "embedded" and not embedded_node(lake).has_data:
        raise PipelineError(NOTHING_SERVED)  # a node would have to start only to say the same
    with open_target(config, lake, choice, say) as target:
        if target is None:
            raise UsageError(
                "the serving target is `none`: choose another one with --serving, or in conf/pipeline.yaml"
            )
        with target.session() as session:
            yield session


def embedded_node(lake: str) -> EmbeddedNode:
    """The node of a lake; UsageError where the lake is no local folder."""
    if "://" in lake:
        raise UsageError(f"the embedded node needs a local lake, and {lake} is none: give a folder with --lake")
    return EmbeddedNode(Path(lake).expanduser().resolve() / "_cassandra")


def _keyspace_exists(session: Session, keyspace: str) -> bool:
    query = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = %s"
    return bool(list(session.execute(query, [keyspace])))
