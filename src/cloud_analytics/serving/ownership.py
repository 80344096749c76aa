"""Whose rows a keyspace holds: it carries the identity of its lake, and no other lake's load may replace them.

The identity is made at a lake's first load and kept in its state documents; a copy of the lake, or a backup that was
restored, has the same one. Each load writes it with the load's version before its first row. The write is conditional:
of two lakes that find a keyspace empty only one gets it. The identity lives 90 days from then, as the rows do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.folder import LAST_TRANSACTION
from cloud_analytics.serving.connect import readable_errors
from cloud_analytics.serving.schema import Found, is_empty
from cloud_analytics.serving.tables import tables

if TYPE_CHECKING:
    from cassandra.cluster import Session

IDENTITY = "_state/identity"
_CREATE = """CREATE TABLE IF NOT EXISTS lake_identity (
    name    text PRIMARY KEY,  -- 'owner', the only row
    lake_id text,
    lake    text,              -- where it lay at its last load, for people
    version bigint             -- of its last load
) WITH default_time_to_live = 7776000"""

ReadState = Callable[[str, Any], Any]  # as Lake.state: a document's content, or the default


@dataclass(frozen=True)
class Owner:
    """A lake, and the version of its newest load."""

    lake_id: str
    lake: str
    version: int


def document_of(found: Mapping[str, Found]) -> str:
    """The state document that says what a lake has loaded into exactly these tables."""
    fingerprints = sorted((name, table.fingerprint) for name, table in found.items())
    return f"_state/serving_{sha256(repr(fingerprints).encode()).hexdigest()[:12]}"


def expect_own(
    session: Session, found: Mapping[str, Found], read_state: ReadState, where: str, take_over: bool = False
) -> Owner | None:
    """The lake whose rows the keyspace holds; None if it is nobody's yet. `where` names the keyspace to people.

    UsageError if it is another lake than the one with these state documents, unless the keyspace may be taken over.
    A keyspace that was filled before identities were written is this lake's if its documents know these tables.
    """
    owner = _owner(session)
    if not take_over:
        mine, loaded = read_state(IDENTITY, None), read_state(document_of(found), None)
        _expect_mine(owner, mine, where)
        if (
            owner is None
            and not (loaded or {}).get("clock")
            and not all(is_empty(session, tables()[name]) for name in found)
        ):
            raise _refused(where, "rows, and nothing says that they are this lake's")
    return owner


def expect_not_anothers(session: Session, read_state: ReadState, where: str) -> None:
    """UsageError if somebody asks for this lake's rows and the keyspace holds those of another one.

    Anybody may ask who has no lake at all in that place, or may read the tables of the questions alone.
    """
    from cassandra import Unauthorized

    mine = read_state(IDENTITY, None)
    if mine is None and read_state(LAST_TRANSACTION, None) is None:
        return
    try:
        owner = _owner(session)
    except Unauthorized:
        return
    _expect_mine(owner, mine, where)


def _expect_mine(owner: Owner | None, mine: dict[str, Any] | None, where: str) -> None:
    if owner is not None and owner.lake_id != (mine or {}).get("id"):
        raise _refused(where, f"the rows of another lake ({owner.lake})")


def claim(session: Session, mine: Owner, before: Owner | None, where: str) -> None:
    """Write that the keyspace belongs to `mine`; UsageError if it does not belong to `before` any more."""
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

    if session.keyspace is None:  # it is not there yet
        return None
    try:
        row = session.execute("SELECT lake_id, lake, version FROM lake_identity WHERE name = 'owner'").one()
    except InvalidRequest:  # there is no such table
        return None
    return Owner(**row) if row else None


def _refused(where: str, what: str) -> UsageError:
    return UsageError(
        f"{where} holds {what}: give this lake a keyspace of its own, or"
        " replace what it holds with `cloud-analytics serve --take-over`"
    )
