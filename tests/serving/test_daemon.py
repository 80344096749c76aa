"""Ports, processes and the question whether CQL is spoken: without a node."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from cloud_analytics.serving import certificates, daemon
from cloud_analytics.serving.node import EmbeddedNode


def serve(answer: bytes, identity: certificates.Identity, folder: Path) -> int:
    """A server on loopback that answers one connection over TLS with these bytes; returns its port."""
    key, certificate, _ = pkcs12.load_key_and_certificates(identity.store, b"hush")
    assert key is not None
    assert certificate is not None
    own = folder / "own.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    own.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with (
            listener,
            listener.accept()[0] as plain,
            contextlib.suppress(OSError),
            context.wrap_socket(plain, server_side=True) as connection,
        ):
            connection.recv(64)
            connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def identity() -> certificates.Identity:
    return certificates.identity("cassandra", "hush")


@pytest.mark.parametrize(
    ("answer", "speaks"),
    [
        (bytes.fromhex("84 00 0000 06 00000000"), True),
        (bytes.fromhex("84 00 0000 00 00000000"), False),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"", False),
    ],
    ids=["SUPPORTED", "ERROR", "a web server", "silence"],
)
def test_only_a_cql_server_answers(
    answer: bytes, speaks: bool, identity: certificates.Identity, tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(identity.certificate)
    assert daemon.answers("127.0.0.1", serve(answer, identity, tmp_path), certificate) is speaks
    certificate.write_bytes(certificates.identity("cassandra", "hush").certificate)
    assert not daemon.answers("127.0.0.1", serve(answer, identity, tmp_path), certificate)  # of another certificate


def test_a_closed_port_does_not_answer(identity: certificates.Identity, tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_bytes(identity.certificate)
    assert not daemon.answers("127.0.0.1", 1, tmp_path / "certificate.pem")


def test_kept_ports_are_kept_and_taken_ones_chosen_anew() -> None:
    first = daemon.free_ports("127.0.0.1", [None, None])
    assert len(set(first)) == 2
    assert daemon.free_ports("127.0.0.1", first) == first
    with socket.create_server(("127.0.0.1", first[0])):
        again = daemon.free_ports("127.0.0.1", first)
    assert again[0] not in first
    assert again[1] == first[1]


@pytest.mark.parametrize("proc", [True, False], ids=["/proc", "ps"])
def test_a_process_is_known_by_its_argument_not_by_its_number(monkeypatch: pytest.MonkeyPatch, proc: bool) -> None:
    if proc and not Path("/proc/self/cmdline").exists():
        pytest.skip("no /proc here")
    monkeypatch.setattr(daemon, "_PROC", proc)
    argument = f"-Dcloud_analytics.home=/a b/{os.getpid()}/{proc}"
    command = [sys.executable, "-c", "print(flush=True); input()", argument, "-cp"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()  # its arguments can be seen only once it has really begun
    try:
        assert daemon.find(argument) == child.pid
        assert daemon.find(argument, child.pid) == child.pid
        assert daemon.find(argument, os.getpid()) == child.pid
        assert daemon.find(argument + "x", child.pid) is None
    finally:
        child.kill()
        child.communicate()
    assert daemon.find(argument, child.pid) is None


def test_a_node_that_never_ran(tmp_path: Path) -> None:
    node = EmbeddedNode(tmp_path / "lake" / "_cassandra")
    status = node.status()
    assert (status["running"], status["host"], status["port"], status["pid"]) == (False, "127.0.0.1", None, None)
    assert node.stop() is False
    assert not (tmp_path / "lake").exists()
