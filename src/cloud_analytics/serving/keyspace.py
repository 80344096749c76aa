"""The content of a keyspace: its tables, compared with those that the marts declare, and the identity of its lake.

A lake's identity is created at its first load and kept in its state documents. A copy of the lake, or a restored
backup, has the same identity. Each load writes the identity and the load's version into the keyspace before its first
row, and then no other lake's load may replace the rows. The write is conditional: if two lakes find a keyspace empty,
only one of them gets it. The identity expires 90 days after the last load, as the rows do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.folder import LAST_TRANSACTION, Document, LakeFolder
from cloud_analytics.serving.connect import Row, readable_errors
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session

_CREATE = """CREATE TABLE IF NOT EXISTS lake_identity (
    name    text PRIMARY KEY,  -- 'owner', the only row
    lake_id text,
    lake    text,              -- where it lay at its last load, for people
    version bigint             -- of its last load
) WITH default_time_to_live = 7776000"""


@dataclass(frozen=True)
class Identity:
    """The identity of a lake."""

    id: str


IDENTITY = Document("_state/identity", Identity, None)


@dataclass(frozen=True)
class Loaded:
    """What a lake has loaded into a set of serving tables.

    `clock`: the highest T of all loads. `complete`: the marts whose first load has ended. `partitions`: mart →
    partition → (hash of the loaded rows, or None if the load did not end; T of the load). `writes`: month → the number
    of writes that were begun.
    """

    clock: int = 0
    complete: tuple[str, ...] = ()
    partitions: Mapping[str, Mapping[str, tuple[str | None, int]]] = field(default_factory=dict)
    writes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A serving table as it is in the store.

    `fingerprint` changes with every event in which the table may have lost rows or values: the table was dropped and
    created again, a column was dropped and added again, or the TTL was changed.
    """

    partition_key: tuple[str, ...]
    clustering_order: tuple[tuple[str, str], ...]
    types: dict[str, str]
    ttl_seconds: int
    fingerprint: str


def found_tables(session: Session, keyspace: str) -> dict[str, Found]:
    """Name → serving table, for the tables that exist in the keyspace."""

    def rows(what: str) -> dict[str, list[Row]]:
        by_table: dict[str, list[Row]] = defaultdict(list)
        for row in session.execute(f"SELECT * FROM system_schema.{what} WHERE keyspace_name = %s", [keyspace]):
            by_table[row["table_name"]].append(row)
        return by_table

    columns, dropped = rows("columns"), rows("dropped_columns")
    found = {}
    for name, (table, *_) in rows("tables").items():
        if name not in tables():
            continue
        ordered = sorted(columns[name], key=lambda row: int(row["position"]))
        key = {kind: [row for row in ordered if row["kind"] == kind] for kind in ("partition_key", "clustering")}
        types = {row["column_name"]: row["type"] for row in columns[name]}
        went = sorted((row["column_name"], str(row["dropped_time"])) for row in dropped[name])
        found[name] = Found(
            partition_key=tuple(row["column_name"] for row in key["partition_key"]),
            clustering_order=tuple((row["column_name"], row["clustering_order"]) for row in key["clustering"]),
            types=types,
            ttl_seconds=table["default_time_to_live"],
            fingerprint=repr((str(table["id"]), sorted(types.items()), went, table["default_time_to_live"])),
        )
    return found


def expect_declared(found: dict[str, Found], keyspace: str) -> None:
    """UsageError if tables differ from the declarations of their marts, with the statements that correct them."""
    problems = [
        f"{keyspace}.{name} {what}: {statement}"
        for name, table in found.items()
        for what, statement in _differences(tables()[name], table, f"{keyspace}.{name}")
    ]
    if problems:
        raise UsageError(
            "tables are not as `cloud-analytics serve --schema` has them; run these statements, then serve:"
            f" {' '.join(problems)}"
        )


def is_empty(session: Session, table: ServingTable) -> bool:
    """Whether the table holds no row."""
    with readable_errors(f"cannot read {table.name}"):
        return session.execute(f"SELECT {table.partition_key[0]} FROM {table.name} LIMIT 1").one() is None


def _differences(declared: ServingTable, found: Found, name: str) -> list[tuple[str, str]]:
    """Each difference with the CQL that removes it. The next `serve` creates and loads a table that was dropped."""
    drop = f"DROP TABLE {name};"
    key = (declared.partition_key, declared.clustering_order)
    if (found.partition_key, found.clustering_order) != key:
        order = ", ".join(f"{column} {direction.upper()}" for column, direction in declared.clustering_order)
        return [(f"has another key than (({', '.join(declared.partition_key)}), {order})", drop)]
    shared = declared.columns.keys() & found.types.keys()
    retyped = sorted(column for column in shared if found.types[column] != declared.columns[column])
    if retyped:
        what = ", ".join(f"{column} {found.types[column]} instead of {declared.columns[column]}" for column in retyped)
        return [(f"has {what}", drop)]
    differences = []
    missing = [f"{column} {kind}" for column, kind in declared.columns.items() if column not in found.types]
    if missing:
        differences.append((f"lacks {', '.join(missing)}", f"ALTER TABLE {name} ADD ({', '.join(missing)});"))
    unknown = sorted(found.types.keys() - declared.columns.keys())
    if unknown:
        differences.append((f"also has {', '.join(unknown)}", f"ALTER TABLE {name} DROP ({', '.join(unknown)});"))
    if found.ttl_seconds != declared.ttl_seconds:
        statement = f"ALTER TABLE {name} WITH default_time_to_live = {declared.ttl_seconds};"
        differences.append((f"has a TTL of {found.ttl_seconds} s", statement))
    return differences


@dataclass(frozen=True)
class Owner:
    """The lake that owns a keyspace, and the version of its newest load."""

    lake_id: str
    lake: str
    version: int


def document_of(found: Mapping[str, Found]) -> Document[Loaded]:
    """The state document that records what a lake has loaded into exactly these tables."""
    fingerprints = sorted((name, table.fingerprint) for name, table in found.items())
    return Document(f"_state/serving_{sha256(repr(fingerprints).encode()).hexdigest()[:12]}", Loaded, Loaded())


def expect_own(
    session: Session, lake: LakeFolder, where: str, found: Mapping[str, Found] | None = None, take_over: bool = False
) -> Owner | None:
    """The lake whose rows the keyspace holds; None if no identity is there. `where` names the keyspace in messages.

    UsageError if the keyspace belongs to another lake than this one, unless `take_over`. `found`: the tables to load. A
    keyspace that was filled before identities existed belongs to this lake if its documents know these tables.

    A reader gives no `found`. It gets no error if there is no lake at the lake's path, or if the user may not read the
    table of the identity.
    """
    from cassandra import Unauthorized

    if found is None and lake.load(IDENTITY) is None and lake.load(LAST_TRANSACTION) is None:
        return None
    try:
        owner = _owner(session)
    except Unauthorized:
        if found is None:
            return None
        raise
    if take_over:
        return owner
    if owner is not None:
        mine = lake.load(IDENTITY)
        if mine is None or owner.lake_id != mine.id:
            raise _refused(where, f"the rows of another lake ({owner.lake})")
    elif (
        found is not None
        and not lake.load(document_of(found)).clock
        and not all(is_empty(session, tables()[name]) for name in found)
    ):
        raise _refused(where, "rows, and nothing says that they are this lake's")
    return owner


def claim(session: Session, mine: Owner, before: Owner | None, where: str) -> None:
    """Write that the keyspace belongs to `mine`. UsageError if it no longer belongs to `before`."""
    with readable_errors(f"cannot write the lake's identity into {where}"):
        session.execute(_CREATE)
        if before is None:
            text = "INSERT INTO lake_identity (lake_id, lake, version, name) VALUES (%s, %s, %s, 'owner') IF NOT EXISTS"
            values = [mine.lake_id, mine.lake, mine.version]
        else:
            text = "UPDATE lake_identity SET lake_id = %s, lake = %s, version = %s WHERE name = 'owner' IF lake_id = %s"
            values = [mine.lake_id, mine.lake, mine.version, before.lake_id]
        if not session.execute(text, values).one()["[applied]"]:
            raise _refused(where, "the rows of another lake since a moment ago")


def _owner(session: Session) -> Owner | None:
    from cassandra import InvalidRequest

    if session.keyspace is None:  # the keyspace does not exist yet
        return None
    try:
        row = session.execute("SELECT lake_id, lake, version FROM lake_identity WHERE name = 'owner'").one()
    except InvalidRequest:  # the table does not exist
        return None
    return Owner(**row) if row else None


def _refused(where: str, what: str) -> UsageError:
    return UsageError(
        f"{where} holds {what}: give this lake a keyspace of its own, or"
        " replace what it holds with `cloud-analytics serve --take-over`"
    )
