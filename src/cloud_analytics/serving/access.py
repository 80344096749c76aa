"""The ways to a Cassandra: what the Python driver and the Spark connector each have to be told to get there.

Both classes have the same methods, so that no caller asks which one it has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

_AUTH = "spark.cassandra.auth."
_CONNECTION = "spark.cassandra.connection."
# The connector's own choice is two suites without forward secrecy, which Java and most servers no longer offer.
_CIPHERS = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    *(f"TLS_ECDHE_{key}_WITH_AES_{size}" for key in ("ECDSA", "RSA") for size in ("256_GCM_SHA384", "128_GCM_SHA256")),
)
_PUBLIC = "not-a-secret"  # Java wants a password for a file that holds nothing but a public certificate


@dataclass(frozen=True)
class Login:
    """A user name and a password; `source` tells people where they come from, and so where to correct them."""

    username: str
    password: str = field(repr=False)
    source: str


@dataclass(frozen=True)
class Direct:
    """Nodes that are connected to directly; `login` is None where they ask for none.

    `local_dc` is the data centre whose replicas are asked. With `ca_file` the connection is TLS, to certificates that
    this authority (PEM) signed. `doctor` is asked when the store does not answer: see `diagnose`.
    """

    hosts: tuple[str, ...]
    port: int
    local_dc: str = "datacenter1"
    login: Login | None = None
    ca_file: Path | None = None
    doctor: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"Cassandra at {', '.join(self.hosts)}, port {self.port}"

    def cluster_options(self, connect_timeout: float) -> dict[str, Any]:
        """Arguments of the driver's Cluster: contact points, and TLS where a certificate authority is given."""
        options: dict[str, Any] = {"contact_points": list(self.hosts), "port": self.port}
        if self.ca_file is not None:
            import ssl

            # Nodes are known by address, which their certificates rarely name: the authority vouches for them.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(self.ca_file)
            options["ssl_context"] = context
        return options

    def connector_options(self) -> dict[str, str]:
        """Options of a read or write through the Spark connector, which wants the authority as a Java trust store."""
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

    def diagnose(self) -> None:
        """Called when the store does not answer: StoreDamaged where it is known that waiting is in vain."""
        if self.doctor is not None:
            self.doctor()

    @cached_property
    def _trust_store(self) -> Path:
        from cloud_analytics.serving.keystores import trust_store

        assert self.ca_file is not None
        path = Path(tempfile.mkdtemp(prefix="cloud-analytics-")) / "trust.p12"
        path.write_bytes(trust_store(self.ca_file.read_bytes(), _PUBLIC))
        return path


@dataclass(frozen=True)
class Bundle:
    """AstraDB's secure connect bundle: a metadata service tells where the nodes are, behind a proxy."""

    path: Path
    login: Login
    local_dc: str = ""  # empty: that of the node which is found first

    def __str__(self) -> str:
        return f"AstraDB through {self.path.name}"

    def cluster_options(self, connect_timeout: float) -> dict[str, Any]:
        """Arguments of the driver's Cluster, which asks the metadata service when it is made.

        The driver unpacks the bundle into the system's temporary folder, not beside it.
        """
        bundle = {
            "secure_connect_bundle": str(self.path),
            "use_default_tempdir": True,
            "connect_timeout": connect_timeout,
        }
        return {"cloud": bundle}

    def connector_options(self) -> dict[str, str]:
        """Options of a read or write through the Spark connector.

        The bundle is a URL, since the connector takes a bare path for a file that Spark distributed.
        """
        return {f"{_CONNECTION}config.cloud.path": self.path.absolute().as_uri()} | _auth(self.login)

    def diagnose(self) -> None:
        """Does nothing: of this store nothing more is known."""


Access: TypeAlias = Direct | Bundle


def _auth(login: Login | None) -> dict[str, str]:
    return {f"{_AUTH}username": login.username, f"{_AUTH}password": login.password} if login else {}
