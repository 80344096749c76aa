"""Who may look: a session that brought the token of the link, and nobody else who reaches the port."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import streamlit as st
import uvicorn
from starlette.responses import PlainTextResponse
from streamlit import cli_util
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.testing.v1 import AppTest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from cloud_analytics.dashboard import app, door, provider, server
from cloud_analytics.dashboard.source import Source
from tests.dashboard.browser import dashboard
from tests.dashboard.conftest import Served
from tests.test_follow import PATIENCE, wait_for

ONE_LINE = "<p>Open the link that `cloud-analytics dashboard` printed.</p>"


def token_of(link: str) -> str:
    return urlsplit(link).query.removeprefix("token=")


TOKEN = token_of(door.link("127.0.0.1", 8501))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A session of the app, with a first page that needs no lake."""
    monkeypatch.setattr(provider, "page", lambda _: st.title("Figures"))
    monkeypatch.setattr(Source, "current", None, raising=False)
    return AppTest.from_file(str(app.__file__), default_timeout=60)


@pytest.mark.parametrize(
    "token",
    [None, "", "x", TOKEN[:-1], f"{TOKEN}0", "ñ"],
    ids=["none", "empty", "another", "shorter", "longer", "not of ASCII"],
)
def test_without_the_token_there_is_one_line(token: str | None, session: AppTest) -> None:
    if token is not None:
        session.query_params["token"] = token
    session.run()
    assert [found.proto.body for found in session.main.get("html")] == [ONE_LINE]
    assert not session.title
    assert not session.exception


def test_with_the_token_pages_are_shown_also_when_they_are_loaded_again(session: AppTest) -> None:
    session.query_params["token"] = TOKEN
    for _ in range(2):
        session.run()
        assert [title.value for title in session.title] == ["Figures"]
        assert session.query_params["token"] in (TOKEN, [TOKEN])
    assert ONE_LINE not in [found.proto.body for found in session.main.get("html")]


def test_the_browser_is_opened_by_a_file_since_all_can_read_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(cli_util, "open_browser", opened.append)
    with socket.create_server(("127.0.0.1", 0)) as answering:
        port = answering.getsockname()[1]
        server._open("127.0.0.1", port, tmp_path)
    page = tmp_path / "dashboard.html"
    assert opened == [page.as_uri()]
    assert door.link("127.0.0.1", port) in page.read_text()


def told(link: str, query: str, origin: str | None = None) -> list[ForwardMsg]:
    """What the server tells a program that begins a session, until the script has run."""
    place = urlsplit(link)
    first = BackMsg()
    first.rerun_script.query_string = query
    found: list[ForwardMsg] = []
    with connect(
        f"ws://{place.netloc}/_stcore/stream",
        subprotocols=[Subprotocol("streamlit")],
        origin=Origin(origin) if origin else None,
        address=("127.0.0.1", place.port),
        proxy=None,
    ) as session:
        session.send(first.SerializeToString())
        while not found or not found[-1].HasField("script_finished"):
            found.append(ForwardMsg.FromString(session.recv(PATIENCE, decode=False)))
    return found


def shown(messages: list[ForwardMsg]) -> list[str]:
    """The kinds of elements on the page; of a sentence its text."""
    elements = [m.delta.new_element for m in messages if m.HasField("delta") and list(m.metadata.delta_path)[0] == 0]
    return [e.html.body or str(e.WhichOneof("type")) for e in elements if e.WhichOneof("type")]


@pytest.mark.spark
@pytest.mark.cassandra
def test_who_reaches_the_port_without_the_token_sees_nothing(served: Served, tmp_path: Path) -> None:
    """Nor where the folder in which the command is started opens doors: it may be a stranger's."""
    (tmp_path / ".streamlit").mkdir()
    opening = "[server]\nenableCORS = false\nenableXsrfProtection = false\n"
    (tmp_path / ".streamlit" / "config.toml").write_text(opening)
    with dashboard(served.lake, tmp_path) as link:
        query, foreign = urlsplit(link).query, link.replace("127.0.0.1", "example.org")
        page = shown(told(link, query, origin=link))
        assert {"heading", "metric", "dataframe"} <= set(page)
        assert shown(told(link, query)) == page
        for strange in ("", "token=", "token=x", f"{query}0", f"org={token_of(link)}"):
            assert shown(told(link, strange)) == ["text_input", ONE_LINE]
        for place, origin in ((link, foreign), (foreign, foreign), (foreign, None)):
            with pytest.raises(InvalidStatus, match="403"):
                told(place, query, origin=origin)
        port = int(urlsplit(link).port or 0)
        for path in ("/", "/billing", "/_stcore/health", "/_stcore/host-config", "/static/index.html"):
            assert status(port, "example.org", path) == 403
        assert status(port, "127.0.0.1", "/_stcore/upload_file/a/b", "PUT") == 405
        assert {status(port, host) for host in ("127.0.0.1", f"localhost:{port}", "[::1]")} == {200}


def status(port: int, host: str | None, path: str = "/", method: str = "GET") -> int:
    """The answer to a request with this `Host` header, or without one."""
    caller = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    caller.putrequest(method, path, skip_host=True)
    if host is not None:
        caller.putheader("Host", host)
    caller.endheaders()
    return caller.getresponse().status


@contextmanager
def answering(app: Any) -> Iterator[int]:
    """The server of the dashboard with another app, and its port."""
    config = uvicorn.Config(app, port=0, http=server._BriefConnection, log_config=None, lifespan="off")
    running = uvicorn.Server(config)
    thread = Thread(target=running.run)
    thread.start()
    try:
        wait_for(lambda: running.started, "the server")
        yield int(running.servers[0].sockets[0].getsockname()[1])
    finally:
        running.should_exit = True
        thread.join()


@pytest.mark.parametrize(
    ("host", "answer"),
    [("127.0.0.1", 200), ("127.0.0.1:8501", 200), ("LOCALHOST", 200), ("[::1]:8501", 200), ("example.org", 403),
     ("127.0.0.1.example.org", 403), ("example.org:127", 403), ("example.org#@localhost", 403), ("[", 403), ("", 403)],
)  # fmt: skip
def test_only_what_is_asked_of_this_machine_is_answered(host: str, answer: int) -> None:
    app = door.Gate(PlainTextResponse("Figures"), ["127.0.0.1", "localhost", "::1"])
    with answering(app) as port:
        assert status(port, host) == answer


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1"]])
def test_nothing_is_uploaded(hosts: list[str]) -> None:
    with answering(door.Gate(PlainTextResponse("Figures"), hosts)) as port:
        for method, answer in (("GET", 200), ("HEAD", 200), ("PUT", 405), ("POST", 405), ("DELETE", 405)):
            assert status(port, "127.0.0.1", "/_stcore/upload_file/a/b", method) == answer


def test_a_slow_or_silent_connection_is_cut_and_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LONGEST", 1)
    with answering(PlainTextResponse("Figures")) as port, ExitStack() as held:
        slow = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(300)]
        for number, caller in enumerate(slow):
            caller.settimeout(PATIENCE)
            caller.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "[: number % 40])
        assert status(port, "127.0.0.1") == 200
        for caller in slow:
            with suppress(ConnectionResetError):
                assert caller.recv(1) == b""
