"""Connections to Cassandra: options of the Python driver and of the Spark connector, and sessions of the driver.

Sessions return plain dates and decimals, read at LOCAL_QUORUM, and report failures in one line.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from cloud_analytics.errors import CloudAnalyticsError, PipelineError, StoreUnavailable, UsageError

if TYPE_CHECKING:  # the driver takes 0.2 s to import, so only functions that connect import it
    import ssl

    from cassandra.cluster import Session

Row = dict[str, Any]

CONNECT_TIMEOUT = 10.0  # seconds
_MOST_METADATA = 2**20  # bytes of a metadata service's answer, which usually has some hundred
_AUTH = "spark.cassandra.auth."
_CONNECTION = "spark.cassandra.connection."
# By default the connector offers two suites without forward secrecy, which Java and most servers no longer support.
_CIPHERS = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    *(f"TLS_ECDHE_{key}_WITH_AES_{size}" for key in ("ECDSA", "RSA") for size in ("256_GCM_SHA384", "128_GCM_SHA256")),
)
_PUBLIC = "not-a-secret"  # Java requires a password even for a file that holds only a public certificate


@dataclass(frozen=True)
class Login:
    """A user name and a password. `source` names their origin in error messages, so that the user can correct them."""

    username: str
    password: str = field(repr=False)
    source: str


def trusting(ca_file: Path) -> ssl.SSLContext:
    """A TLS context for nodes whose certificates this authority signed. OSError if the file cannot be read."""
    import ssl

    # Nodes are reached by address, which certificates rarely name. So the check is the authority's signature alone.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca_file)
    return context


@dataclass(frozen=True)
class Direct:
    """Nodes that are connected to directly. `login`: None if the nodes need no login.

    `local_dc`: the data centre whose replicas answer. `ca_file`: with it the connection uses TLS and trusts the
    certificates that this authority (PEM) signed. `doctor`: called if the store does not answer; it raises StoreDamaged
    if the store will never answer.
    """

    hosts: tuple[str, ...]
    port: int
    local_dc: str = "datacenter1"
    login: Login | None = None
    ca_file: Path | None = None
    doctor: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"Cassandra at {', '.join(self.hosts)}, port {self.port}"

    def cluster_options(self) -> dict[str, Any]:
        """Arguments of the driver's Cluster: contact points, and TLS if a certificate authority is given."""
        options: dict[str, Any] = {"contact_points": list(self.hosts), "port": self.port}
        if self.ca_file is not None:
            options["ssl_context"] = trusting(self.ca_file)
        return options

    def connector_options(self) -> dict[str, str]:
        """Options of a read or write through the Spark connector, which needs the authority as a Java trust store."""
        options = {
            f"{_CONNECTION}host": ",".join(self.hosts),
            f"{_CONNECTION}port": str(self.port),
            f"{_CONNECTION}localDC": self.local_dc,
        }
        if self.ca_file is not None:
            options |= {
                f"{_CONNECTION}ssl.enabled": "true",
                f"{_CONNECTION}ssl.trustStore.path": str(self._trust_store),
                f"{_CONNECTION}ssl.trustStore.password": _PUBLIC,
                f"{_CONNECTION}ssl.enabledAlgorithms": ",".join(_CIPHERS),
            }
        return options | _auth(self.login)

    @cached_property
    def _trust_store(self) -> Path:
        from cloud_analytics.serving.certificates import trust_store

        assert self.ca_file is not None
        path = Path(tempfile.mkdtemp(prefix="cloud-analytics-")) / "trust.p12"
        path.write_bytes(trust_store(self.ca_file.read_bytes(), _PUBLIC))
        return path


@dataclass(frozen=True)
class Bundle:
    """AstraDB through its secure connect bundle: a metadata service returns the nodes, which are behind a proxy."""

    path: Path
    login: Login
    local_dc: str = ""  # empty: the data centre of the node that is found first
    doctor: None = None

    def __str__(self) -> str:
        return f"AstraDB through {self.path.name}"

    def cluster_options(self) -> dict[str, Any]:
        """Arguments of the driver's Cluster, which calls the metadata service when it is created.

        The driver unpacks the bundle into the system's temporary folder, not into the folder of the bundle.
        """
        bundle = {"secure_connect_bundle": str(self.path), "use_default_tempdir": True}
        return {"cloud": {**bundle, "connect_timeout": CONNECT_TIMEOUT}}

    def connector_options(self) -> dict[str, str]:
        """Options of a read or write through the Spark connector.

        The bundle is given as a URL: the connector would look for a bare path among the files that Spark distributed.
        """
        return {f"{_CONNECTION}config.cloud.path": self.path.absolute().as_uri()} | _auth(self.login)


Access: TypeAlias = Direct | Bundle


class StoreWaking(StoreUnavailable):
    """The store answers that it is starting. A later retry will succeed."""


class LoginRefused(UsageError):
    """The store refuses the user name or the password, or requires a login and got none."""


def connect(access: Access) -> Session:
    """A session whose rows are dicts of plain Python values. The caller shuts its cluster down, or uses `connected`.

    Raises the errors of `readable_errors`; StoreDamaged if the access has a `doctor` that finds damage.
    """
    cluster_module, policies = _driver()
    from cassandra import ConsistencyLevel
    from cassandra.auth import PlainTextAuthProvider

    login = access.login
    profile = cluster_module.ExecutionProfile(
        load_balancing_policy=policies.TokenAwarePolicy(policies.DCAwareRoundRobinPolicy(local_dc=access.local_dc)),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=30.0,
        row_factory=_rows,
    )
    try:
        with readable_errors(f"cannot reach {access}", login):
            cluster = cluster_module.Cluster(
                **access.cluster_options(),
                auth_provider=PlainTextAuthProvider(login.username, login.password) if login else None,
                execution_profiles={cluster_module.EXEC_PROFILE_DEFAULT: profile},
                connect_timeout=CONNECT_TIMEOUT,
                control_connection_timeout=CONNECT_TIMEOUT,
                reconnection_policy=policies.ExponentialReconnectionPolicy(0.5, 10.0),
                schema_metadata_enabled=False,  # the metadata is not used, and reading it takes 0.1 s
            )
            try:
                return cluster.connect()
            except BaseException:
                cluster.shutdown()
                raise
    except StoreUnavailable:
        if access.doctor is not None:
            access.doctor()
        raise


@contextmanager
def connected(access: Access) -> Iterator[Session]:
    """`with connected(access) as session:` connects, and closes the connection at the end."""
    session = connect(access)
    try:
        yield session
    finally:
        session.cluster.shutdown()


def connections_of_others(session: Session) -> set[tuple[str, int]]:
    """Address and port of each client connection of the session's node, except the session's own connections."""
    holders = session.cluster.get_connection_holders()
    own = {connection._socket.getsockname()[:2] for holder in holders for connection in holder.get_connections()}
    return {(row["address"], row["port"]) for row in session.execute("SELECT * FROM system_views.clients")} - own


@contextmanager
def readable_errors(doing: str, login: Login | None = None) -> Iterator[None]:
    """Turn the driver's exceptions into an error of one line that begins with `doing`.

    StoreUnavailable if a retry may help, because no node answers or all are too busy; StoreWaking if the store answers
    that it is starting. UsageError if the login is refused (the message names the origin of the login) or if the
    certificates do not match. PipelineError for anything else.
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


def _refused(doing: str, login: Login | None) -> LoginRefused:
    if login is None:
        return LoginRefused(f"{doing}: it asks for a user name and a password, and none is set")
    return LoginRefused(f"{doing}: user {login.username!r} with this password is refused: check {login.source}")


def _metadata_service_error(doing: str, error: Exception) -> CloudAnalyticsError:
    """The error behind a DriverException, whose own message does not contain the metadata service's answer."""
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
    if isinstance(cause, ValueError):  # raised by `_metadata`
        return PipelineError(f"{doing}: {_line(cause)}: download a new bundle")
    if isinstance(cause, OSError):  # includes HTTPError, URLError and timeouts
        return StoreUnavailable(f"{doing}: its metadata service does not answer ({_line(cause)})")
    return PipelineError(f"{doing}: {_line(error)}")


@dataclass(frozen=True)
class _Contact:
    """What the driver reads of a metadata service's answer."""

    local_dc: str
    sni_proxy_address: str
    contact_points: list[str]


@dataclass(frozen=True)
class _Metadata:
    """The answer of a metadata service."""

    contact_info: _Contact


def _metadata(url: str, **options: Any) -> SimpleNamespace:
    """The answer of a metadata service, read whole. Replaces the driver's `urlopen`.

    The driver would read an endless answer forever, and would not check that the JSON has the fields that it needs.
    ValueError if the answer is no metadata; OSError if no answer arrives in time.
    """
    from urllib.request import urlopen

    until, body = time.monotonic() + CONNECT_TIMEOUT, b""
    with urlopen(url, **options) as answer:
        while len(body) < _MOST_METADATA and (part := answer.read1(_MOST_METADATA - len(body))):
            body += part
            if time.monotonic() > until:
                raise TimeoutError(f"no whole answer in {CONNECT_TIMEOUT:.0f} s")
    try:
        TypeAdapter(_Metadata).validate_json(body)
    except ValidationError:
        raise ValueError("its metadata service does not say where the database is") from None
    return SimpleNamespace(code=answer.status, read=lambda: body)


def _driver() -> tuple[Any, Any]:
    """The driver's modules. Its log is silenced because it only repeats the exceptions."""
    log = logging.getLogger("cassandra")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
    try:
        import cassandra.cluster
        import cassandra.datastax.cloud
        import cassandra.policies
    except ImportError as error:
        raise UsageError("cassandra-driver is not installed: run `make setup`") from error
    except Exception as error:  # DependencyException: the driver was built without libev, on Python 3.12 or newer
        raise UsageError(
            "cassandra-driver has no event loop on this Python:"
            " run `pip install --only-binary :all: 'cassandra-driver>=3.29.3'`, whose wheels bring libev"
        ) from error
    cassandra.datastax.cloud.urlopen = _metadata
    return cassandra.cluster, cassandra.policies


def _rows(names: list[str], rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Rows as dicts. The driver's own Date type becomes datetime.date, which pandas, JSON and CSV support."""
    from cassandra.util import Date

    return [
        {name: value.date() if isinstance(value, Date) else value for name, value in zip(names, row)} for row in rows
    ]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _auth(login: Login | None) -> dict[str, str]:
    return {f"{_AUTH}username": login.username, f"{_AUTH}password": login.password} if login else {}
