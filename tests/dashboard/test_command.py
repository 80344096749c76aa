"""The command line of the dashboard: what it tells, and what it does not do unasked."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud_analytics.cli import cli
from cloud_analytics.config.pipeline import is_loopback
from cloud_analytics.dashboard import server
from cloud_analytics.dashboard.source import Source
from cloud_analytics.errors import UsageError
from tests.conftest import REPOSITORY


def call(lake: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["dashboard", "--lake", str(lake), "--conf", str(REPOSITORY / "conf"), *options])


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where the server would have answered."""
    found: list[tuple[str, int]] = []

    def serve(source: Source, host: str, port: int) -> None:
        found.append((host, port))

    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr(server, "check", lambda *_: None)
    return found


def test_it_answers_on_loopback_and_says_where(tmp_path: Path, answered: list[tuple[str, int]]) -> None:
    done = call(tmp_path)
    assert (done.exit_code, answered) == (0, [("127.0.0.1", 8501)])
    assert re.fullmatch(r"http://127\.0\.0\.1:8501/\?token=[0-9a-f]{32}  \(Ctrl-C ends it\)\n", done.stdout)
    assert done.stderr == "warning: nothing was served yet: run `cloud-analytics run` (or serve); the pages say so\n"


def test_it_warns_of_the_network_elsewhere(tmp_path: Path, answered: list[tuple[str, int]]) -> None:
    done = call(tmp_path, "--host", "0.0.0.0", "--port", "8600")
    assert answered == [("0.0.0.0", 8600)]
    assert "warning: 0.0.0.0 is reached over the network, which link and figures cross unencrypted\n" in done.stderr


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.0.7", False), ("example.org", False)],
)  # fmt: skip
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot answer on 127.0.0.1, port {port} .*give others with --host"):
            server.check("127.0.0.1", port)


def test_without_its_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cloud_analytics.dashboard.server")
    monkeypatch.setitem(sys.modules, "streamlit", None)
    monkeypatch.delitem(sys.modules, "streamlit.web")
    monkeypatch.delattr("cloud_analytics.dashboard.server", raising=False)
    done = call(tmp_path)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == "`dashboard` needs streamlit: pip install 'cloud-analytics[dashboard]'"
