"""A double of AstraDB's connection path, in front of a real Cassandra node.

A metadata service over mutual TLS says where the database is, and answers 503 while it wakes up; a proxy takes the
host's id from the TLS server name and passes the bytes on to the node, which asks for the user `token` and its
password, refuses what AstraDB refuses, and has a rate limit.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud_analytics.serving.connect import Direct, connected
from cloud_analytics.serving.node import EmbeddedNode
from tests.serving.astra.bundle import HOST, PASSWORD, Authority, members, write

TOKEN = "AstraCS:doubleOfATokenForTests:" + "0123456789abcdef" * 4
KEYSPACE = "given"
RATE = 400  # requests a second


def settings(key_store: Path) -> dict[str, Any]:
    """The node behind the proxy. What AstraDB ignores with a warning is refused here, so that a test sees it."""
    encryption = {"enabled": True, "optional": True, "keystore": str(key_store), "keystore_password": PASSWORD}
    return {
        "write_consistency_levels_disallowed": ["ANY", "ONE", "LOCAL_ONE"],
        "table_properties_disallowed": ["compaction", "compression", "gc_grace_seconds", "read_repair"],
        "native_transport_rate_limiting_enabled": True,
        "native_transport_max_requests_per_second": RATE,
        "native_transport_throw_on_overload": True,
        # For who comes directly: the same node is the cluster of other tests.
        "client_encryption_options": {**encryption, "store_type": "PKCS12"},
    }


@dataclass
class Double:
    """A running double; tests turn its knobs."""

    bundle: Path
    authority: Authority
    metadata_port: int
    node: Direct  # past the proxy, as who runs the database
    asleep_until: float = 0.0
    says: bytes | None = None  # the metadata service, instead of where the database is
    metadata_requests: list[int] = field(default_factory=list)  # the status of each answer
    server_names: list[str] = field(default_factory=list)  # which each connection to the proxy asked for

    def sleep(self, seconds: float) -> None:
        """As a database that nobody used: the first who comes wakes it, which takes so long."""
        self.asleep_until = time.monotonic() + seconds

    def superuser(self) -> Any:
        """`with double.superuser() as session:`: past the proxy, as who runs the database."""
        return connected(self.node)


@contextmanager
def astra_double(folder: Path) -> Iterator[Double]:
    """A double whose database has the keyspace `given`, and a user who may do everything in it and nothing beside."""
    authority = Authority()
    context = authority.server_context(folder)
    home = folder / "_cassandra"
    home.mkdir(mode=0o700)
    (home / "password").write_text(secrets.token_urlsafe(32), "ascii")  # a node that makes one makes a key, too
    (home / "key.p12").write_bytes(authority.key_store("node", authority.issue("test node")))
    (home / "certificate.pem").write_bytes(authority.identity.certificate_pem)
    with EmbeddedNode(home, extra_yaml=settings(home / "key.p12")).in_use() as node:
        host_id = _prepare(node)
        double = Double(folder / "bundle.zip", authority, 0, node)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="astra double", daemon=True).start()

        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(work, loop).result(10)

        proxy = run(asyncio.start_server(_proxy(double, host_id), HOST, 0, ssl=_naming(context)))
        contact = {
            "type": "sni_proxy",
            "local_dc": "datacenter1",
            "sni_proxy_address": f"{HOST}:{_port(proxy)}",
            "contact_points": [host_id],
        }
        answer = json.dumps({"version": 1, "region": "local", "contact_info": contact}).encode()
        metadata = run(asyncio.start_server(_metadata(double, answer), HOST, 0, ssl=context))
        double.metadata_port = _port(metadata)
        write(double.bundle, members(authority, double.metadata_port))
        try:
            yield double
        finally:
            run(_close(proxy, metadata))
            loop.call_soon_threadsafe(loop.stop)


def _prepare(node: Direct) -> str:
    with connected(node) as session:
        replication = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
        session.execute(f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = {replication}")
        session.execute(f"CREATE ROLE IF NOT EXISTS 'token' WITH PASSWORD = '{TOKEN}' AND LOGIN = true")
        session.execute(f"GRANT ALL PERMISSIONS ON KEYSPACE {KEYSPACE} TO 'token'")
        return str(session.execute("SELECT host_id FROM system.local").one()["host_id"])


async def _close(*servers: asyncio.Server) -> None:
    for server in servers:
        server.close()
    connections = asyncio.all_tasks() - {asyncio.current_task()}
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def _naming(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, whose connections know the server name that the client asked for."""

    def note(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        connection.asked_for = name  # type: ignore[attr-defined]

    context.sni_callback = note
    return context


def _metadata(double: Double, answer: bytes) -> Any:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            asleep = time.monotonic() < double.asleep_until
            known = head.startswith(b"GET /metadata ")
            status, body = (503, b"") if asleep else (200, double.says or answer) if known else (404, b"")
            double.metadata_requests.append(status)
            lines = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(lines.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        writer.close()

    return handle


def _proxy(double: Double, host_id: str) -> Any:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):  # cancelled: the double ends
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_for = getattr(writer.get_extra_info("ssl_object"), "asked_for", None)
        double.server_names.append(str(asked_for))
        if asked_for != host_id:
            writer.close()
            return
        node_reader, node_writer = await asyncio.open_connection(HOST, double.node.port)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(pass_on(reader, node_writer), pass_on(node_reader, writer))

    return handle
