"""The serving target: a store, a keyspace in it, and the limits of the store.

The configuration chooses the store: the lake's own node, a Cassandra cluster, or AstraDB. All problems of a target are
reported together, before any connection. Secrets come from the environment alone.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cloud_analytics.config.pipeline import KEYSPACE_NAME, ServingSettings
from cloud_analytics.errors import ConfigError, StoreUnavailable, UsageError
from cloud_analytics.lake.files import open_files
from cloud_analytics.lake.folder import LakeFolder
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.serving.backoff import Backoff
from cloud_analytics.serving.connect import (
    Access,
    Bundle,
    Direct,
    Login,
    StoreWaking,
    connect,
    connected,
    readable_errors,
)
from cloud_analytics.serving.keyspace import Found, expect_declared, expect_own, found_tables
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.queries import NothingServed, served
from cloud_analytics.serving.tables import KEYSPACE, tables

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from cloud_analytics.config import Config

_USERNAME, _PASSWORD = "CASSANDRA_USERNAME", "CASSANDRA_PASSWORD"
SECRETS = ("ASTRA_DB_SECURE_BUNDLE", "ASTRA_DB_APPLICATION_TOKEN", "ASTRA_DB_KEYSPACE")
_BUNDLE, _TOKEN_NAME, _KEYSPACE = SECRETS
_TOKEN_BEGINS = "AstraCS:"
_TOKEN = re.compile(r"AstraCS:[A-Za-z0-9]+:[0-9A-Fa-f]{64}")
_ASTRA_REFUSES = frozenset({"compaction"})  # table options that AstraDB sets by itself


@dataclass(frozen=True)
class Target:
    """A store with its properties, so that a caller need not know the kind of store."""

    access: Access
    keyspace: str = KEYSPACE
    replication: Mapping[str, str] | None = None  # to create a missing keyspace; None: a missing keyspace is an error
    where_to_create: str = "create it there"  # the advice in that error
    left_out: frozenset[str] = frozenset()  # table options that the store would refuse
    requests_per_second: int | None = None  # the store's limit; None: no limit
    monthly_writes: int | None = None  # number of writes paid for; None: no limit
    take_over: bool = False  # whether a load may replace the rows of another lake

    def __str__(self) -> str:
        return f"keyspace {self.keyspace} of {self.access}"

    @contextmanager
    def session(self, patience: timedelta = timedelta(0)) -> Iterator[Session]:
        """A driver session in the keyspace, for questions. Waits at most `patience` for a store that is starting.

        NothingServed if the keyspace does not exist yet.
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
            session.cluster.shutdown()

    def create(self, session: Session, found: Collection[str]) -> None:
        """Create the keyspace if it is missing, and the tables that are not in `found`. The session then uses it."""
        with readable_errors(f"cannot create the tables in keyspace {self.keyspace}"):
            if session.keyspace is None:
                options = ", ".join(f"'{name}': '{value}'" for name, value in (self.replication or {}).items())
                session.execute(f"CREATE KEYSPACE IF NOT EXISTS {self.keyspace} WITH replication = {{{options}}}")
                session.set_keyspace(self.keyspace)
            for table in tables().values():
                if table.name not in found:
                    session.execute(table.statement(self.left_out))

    @contextmanager
    def looking_session(self) -> Iterator[tuple[Session, dict[str, Found]]]:
        """A driver session, and the serving tables that exist. Creates nothing.

        UsageError if a table differs from the declaration of its mart, or if the keyspace is missing and cannot be
        created.
        """
        with connected(self.access) as session:
            with readable_errors(f"cannot look at keyspace {self.keyspace}"):
                found = found_tables(session, self.keyspace) if self._use(session) else {}
                expect_declared(found, self.keyspace)
            yield session, found

    def connector_options(self) -> dict[str, str]:
        """Options for reads and writes of the keyspace through the Spark Cassandra Connector."""
        return {
            "keyspace": self.keyspace,
            "spark.cassandra.input.consistency.level": "LOCAL_QUORUM",
            "spark.cassandra.output.consistency.level": "LOCAL_QUORUM",
            **self.access.connector_options(),
        }

    def _use(self, session: Session) -> bool:
        """Make the session use the keyspace. False if the keyspace is missing and can be created, else UsageError."""
        query = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = %s"
        there = session.execute(query, [self.keyspace]).one() is not None
        if there:
            session.set_keyspace(self.keyspace)
        elif self.replication is None:
            raise UsageError(f"{self.access} has no keyspace {self.keyspace!r}: {self.where_to_create}")
        return there


def local_target(access: Direct, keyspace: str = KEYSPACE) -> Target:
    """The target of an embedded node."""
    return Target(access, keyspace, {"class": "SimpleStrategy", "replication_factor": "1"})


def cassandra(settings: ServingSettings, environment: Mapping[str, str]) -> Target:
    """The target of a Cassandra cluster. ConfigError lists every problem of its settings and secrets."""
    chosen = settings.cassandra
    username, password = environment.get(_USERNAME, ""), environment.get(_PASSWORD, "")
    problems = []
    if bool(username) != bool(password):
        given, lacking = (_USERNAME, _PASSWORD) if username else (_PASSWORD, _USERNAME)
        problems.append(f"{lacking} is not set, and {given} is: set both, or neither where no login is needed")
    if chosen.ca_file is not None:
        problems += _problems_of_authority(chosen.ca_file)
    elif password and not (chosen.is_local or chosen.plaintext):
        problems.append(
            f"pipeline.yaml: serving.cassandra: without ca_file {_PASSWORD} would go over the network unencrypted:"
            " name the cluster's certificate authority there, or set plaintext: true if the network can be trusted"
        )
    if problems:
        raise ConfigError(problems)
    login = Login(username, password, f"{_USERNAME} and {_PASSWORD}") if username else None
    return Target(
        access=Direct(tuple(chosen.contact_points), chosen.port, chosen.datacenter, login, chosen.ca_file),
        keyspace=chosen.keyspace,
        replication=chosen.strategy(),
        where_to_create="create it, or set serving.cassandra.replication in pipeline.yaml, with which it is created",
        requests_per_second=chosen.requests_per_second,
    )


def astra(settings: ServingSettings, environment: Mapping[str, str]) -> Target:
    """The target of an AstraDB. ConfigError lists every problem of its bundle, token and keyspace."""
    from cloud_analytics.serving.certificates import bundle_problems  # takes 0.1 s, only needed here

    path, token, keyspace = (environment.get(name, "").strip() for name in (_BUNDLE, _TOKEN_NAME, _KEYSPACE))
    problems = [] if path else [f"{_BUNDLE} is not set: the path of the secure connect bundle (a zip file)"]
    if path.startswith(_TOKEN_BEGINS):
        problems.append(f"{_BUNDLE} holds a token: it takes the path of the secure connect bundle")
    elif path:
        problems += [f"{_BUNDLE}: {problem}" for problem in bundle_problems(Path(path).expanduser())]
    if not _TOKEN.fullmatch(token):
        what = "has not the form of a token" if token else "is not set"
        problems.append(f"{_TOKEN_NAME} {what}: AstraCS:…:…, as the Astra console generates it")
    if not re.fullmatch(KEYSPACE_NAME, keyspace):
        named = "holds a token" if keyspace.startswith(_TOKEN_BEGINS) else f"{keyspace!r} is no keyspace name"
        what = named if keyspace else "is not set"
        problems.append(f"{_KEYSPACE} {what}: lower-case letters, digits and _, at most 48")
    if problems:
        raise ConfigError(problems)
    return Target(
        access=Bundle(Path(path).expanduser(), Login("token", token, _TOKEN_NAME)),
        keyspace=keyspace,
        where_to_create=f"create it in the Astra console, or set {_KEYSPACE} to one that is there",
        left_out=_ASTRA_REFUSES,
        requests_per_second=settings.astra.requests_per_second,
        monthly_writes=settings.astra.monthly_writes,
    )


def _problems_of_authority(path: Path) -> list[str]:
    from cloud_analytics.serving.certificates import trust_store

    key = "serving.cassandra.ca_file"
    try:
        trust_store(path.read_bytes(), "any")
    except OSError as error:
        return [f"pipeline.yaml: {key}: {path} cannot be read ({error.strerror})"]
    except ValueError:
        return [f"pipeline.yaml: {key}: {path} holds no certificate in PEM form"]
    return []


@contextmanager
def open_target(
    config: Config, lake: str, choice: str | None = None, take_over: bool = False
) -> Iterator[Target | None]:
    """The target that `choice` names (else the configuration), ready to be loaded; None for the choice `none`.

    Errors are raised here, not after hours of work: wrong settings and secrets, a refused login, a keyspace that is
    missing or holds another lake's rows, tables of another schema. A store that is away is no error yet, since the load
    waits for it. With `take_over` the load may replace the rows of another lake.
    """
    with _chosen(config, lake, choice) as target:
        if target is None:
            yield None
            return
        target = replace(target, take_over=take_over or target.take_over)
        with contextlib.suppress(StoreUnavailable), target.looking_session() as (session, found):
            if local_folder(lake) is not None:  # documents of a remote lake are checked when Spark runs
                expect_own(session, LakeFolder(open_files(lake)), str(target), found, target.take_over)
        yield target


@contextmanager
def open_session(config: Config, lake: str, choice: str | None = None) -> Iterator[Session]:
    """A driver session for questions. NothingServed if nothing was served yet.

    UsageError if the target is `none`, or if the keyspace holds the rows of another lake (`expect_own_rows`).
    """
    if (choice or config.pipeline.serving.target) == "embedded" and not embedded_node(lake).files.has_data:
        raise NothingServed  # saves the start of an empty node
    with _chosen(config, lake, choice) as target:
        if target is None:
            raise UsageError(
                "the serving target is `none`: choose another one with --serving, or in conf/pipeline.yaml"
            )
        with target.session(config.pipeline.serving.patience) as session:
            expect_own_rows(session, config, lake, choice)
            yield session


def expect_own_rows(session: Session, config: Config, lake: str, choice: str | None = None) -> None:
    """UsageError if the keyspace of a session holds the rows of another lake than `lake`.

    Not checked for the embedded node, which is in its lake's own folder, nor for a lake that is no local folder.
    """
    if (choice or config.pipeline.serving.target) != "embedded" and local_folder(lake) is not None:
        with served():
            expect_own(session, LakeFolder(open_files(lake)), f"keyspace {session.keyspace}")


@contextmanager
def _chosen(config: Config, lake: str, choice: str | None) -> Iterator[Target | None]:
    """The chosen target. An embedded node is started if it does not run, and its last user ends it."""
    settings = config.pipeline.serving
    name = choice or settings.target
    if name == "none":
        yield None
    elif name == "embedded":
        with embedded_node(lake).in_use() as access:
            yield replace(local_target(access), take_over=True)  # in the lake's own folder, so no other lake's
    else:
        yield (cassandra if name == "cassandra" else astra)(settings, os.environ)


def keyspace_of(config: Config, choice: str | None = None) -> str:
    """The name of a target's keyspace, from settings and environment alone."""
    settings = config.pipeline.serving
    names = {"cassandra": settings.cassandra.keyspace, "astra": os.environ.get(_KEYSPACE)}
    return names.get(choice or settings.target) or KEYSPACE


def embedded_node(lake: str) -> EmbeddedNode:
    """The embedded node of a lake. UsageError if the lake is no local folder."""
    folder = local_folder(lake)
    if folder is None:
        raise UsageError(f"the embedded node needs a local lake, and {lake} is none: give a folder with --lake")
    return EmbeddedNode(folder / "_cassandra")
