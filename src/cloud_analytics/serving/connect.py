"""Connections to Cassandra from Python: plain dates and decimals, LOCAL_QUORUM, and failures as one line."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloud_analytics.errors import CloudAnalyticsError, PipelineError, StoreUnavailable, UsageError
from cloud_analytics.serving.access import Access, Login

if TYPE_CHECKING:  # the driver takes 0.2 s to import, so it is imported only where something connects
    from cassandra.cluster import Session

Row = dict[str, Any]


class StoreWaking(StoreUnavailable):
    """The store says that it is starting: it will answer in a while."""


def connect(
    access: Access, *, keyspace: str | None = None, connect_timeout: float = 10.0, request_timeout: float = 30.0
) -> Session:
    """A session whose rows are dicts of plain Python values; end it with `disconnect`, or use `connected`."""
    try:
        return _connect(access, keyspace, connect_timeout, request_timeout)
    except StoreUnavailable:
        access.diagnose()
        raise


def _connect(access: Access, keyspace: str | None, connect_timeout: float, request_timeout: float) -> Session:
    cluster_module, policies = _driver()
    from cassandra import ConsistencyLevel
    from cassandra.auth import PlainTextAuthProvider

    login = access.login
    profile = cluster_module.ExecutionProfile(
        load_balancing_policy=policies.TokenAwarePolicy(policies.DCAwareRoundRobinPolicy(local_dc=access.local_dc)),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=request_timeout,
        row_factory=_rows,
    )
    with readable_errors(f"cannot reach {access}", login):
        cluster = cluster_module.Cluster(
            **access.cluster_options(connect_timeout),
            auth_provider=PlainTextAuthProvider(login.username, login.password) if login else None,
            execution_profiles={cluster_module.EXEC_PROFILE_DEFAULT: profile},
            connect_timeout=connect_timeout,
            control_connection_timeout=connect_timeout,
            reconnection_policy=policies.ExponentialReconnectionPolicy(0.5, 10.0),
            schema_metadata_enabled=False,  # the driver is never asked about tables, and reading them all takes 0.1 s
        )
    try:
        with readable_errors(f"cannot reach {access}", login):
            session = cluster.connect()
        if keyspace is not None:
            # Not by `connect(keyspace)`: if there is no such keyspace, the driver then says that no host can be had.
            with readable_errors(f"cannot use the keyspace {keyspace}"):
                session.set_keyspace(keyspace)
        return session
    except BaseException:
        cluster.shutdown()
        raise


def disconnect(session: Session) -> None:
    """Close a session with its cluster and threads."""
    session.cluster.shutdown()


@contextmanager
def connected(access: Access, **options: Any) -> Iterator[Session]:
    """`with connected(access) as session:`: `connect`, and closed at the end."""
    session = connect(access, **options)
    try:
        yield session
    finally:
        disconnect(session)


def connections_of_others(session: Session) -> set[tuple[str, int]]:
    """Address and port of each connection that the node of a session has, but for the session's own."""
    holders = session.cluster.get_connection_holders()
    own = {connection._socket.getsockname()[:2] for holder in holders for connection in holder.get_connections()}
    return {(row["address"], row["port"]) for row in session.execute("SELECT * FROM system_views.clients")} - own


@contextmanager
def readable_errors(doing: str, login: Login | None = None) -> Iterator[None]:
    """Turn what the driver raises inside into an error of one line that begins with `doing`.

    StoreUnavailable where trying again may help, because no node answers or all are too busy; StoreWaking if the store
    says that it is starting. UsageError for a login that is refused, which says where the login comes from, and for
    certificates that do not fit. PipelineError for anything else.
    """
    _driver()
    from cassandra import AuthenticationFailed, DriverException, OperationTimedOut, RequestExecutionException
    from cassandra.cluster import NoHostAvailable

    try:
        yield
    except NoHostAvailable as error:
        reasons = list(error.errors.values() if isinstance(error.errors, dict) else error.errors)
        if any(isinstance(reason, AuthenticationFailed) for reason in reasons):
            raise _refused(doing, login) from error
        why = _line(reasons[0]) if reasons else _line(error)
        if "certificate verify failed" in why.lower():
            raise UsageError(
                f"{doing} ({why}): its certificate is not one that the given authority vouches for:"
                " check serving.cassandra.ca_file, or download a new bundle"
            ) from error
        hint = "is Cassandra running, and are host, port and data centre right?"
        raise StoreUnavailable(f"{doing} ({why}): {hint}") from error
    except AuthenticationFailed as error:
        raise _refused(doing, login) from error
    except OperationTimedOut as error:
        raise StoreUnavailable(f"{doing}: no answer in time; try again, or look at the node's load") from error
    except RequestExecutionException as error:  # timeouts, unavailable replicas, overload
        raise StoreUnavailable(f"{doing}: {_line(error)}") from error
    except DriverException as error:
        raise _metadata_service_error(doing, error) from error


def _refused(doing: str, login: Login | None) -> UsageError:
    if login is None:
        return UsageError(f"{doing}: it asks for a user name and a password, and none is set")
    return UsageError(f"{doing}: user {login.username!r} with this password is refused: check {login.source}")


def _metadata_service_error(doing: str, error: Exception) -> CloudAnalyticsError:
    """The error behind a DriverException. Its message does not tell whether and what the metadata service answered."""
    import ssl
    from urllib.error import HTTPError, URLError

    cause = error.__context__
    if isinstance(cause, HTTPError) and cause.code == 503:
        return StoreWaking(f"{doing}: the database is waking up (its metadata service answers 503)")
    reason = cause.reason if isinstance(cause, URLError) else cause
    if isinstance(reason, ssl.SSLError):
        return UsageError(
            f"{doing}: the bundle's certificates and the metadata service's do not go together ({_line(reason)}):"
            " download a new bundle"
        )
    if isinstance(cause, OSError):  # as HTTPError, URLError and time-outs are
        return StoreUnavailable(f"{doing}: its metadata service does not answer ({_line(cause)})")
    return PipelineError(f"{doing}: {_line(error)}")


def _driver() -> tuple[Any, Any]:
    """The driver's modules. Its log is silenced, since its lines only repeat what is raised."""
    log = logging.getLogger("cassandra")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
    try:
        import cassandra.cluster
        import cassandra.policies
    except ImportError as error:
        raise UsageError("cassandra-driver is not installed: run `make setup`") from error
    except Exception as error:  # DependencyException: the driver was built without libev, on Python 3.12 or newer
        raise UsageError(
            "cassandra-driver has no event loop on this Python:"
            " run `pip install --only-binary :all: 'cassandra-driver>=3.29.3'`, whose wheels bring libev"
        ) from error
    return cassandra.cluster, cassandra.policies


def _rows(names: list[str], rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Rows as dicts; the driver's own Date becomes datetime.date, which pandas, JSON and CSV know."""
    from cassandra.util import Date

    return [
        {name: value.date() if isinstance(value, Date) else value for name, value in zip(names, row)} for row in rows
    ]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
