"""The server of the Streamlit app. It listens on one address, prints nothing, and sends no usage statistics."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from streamlit import cli_util, config
from streamlit.web import bootstrap
from streamlit.web.server.server_util import get_display_address
from uvicorn.protocols.http.h11_impl import H11Protocol

from cloud_analytics.config.pipeline import is_loopback
from cloud_analytics.dashboard import door
from cloud_analytics.dashboard.source import Source
from cloud_analytics.errors import UsageError
from cloud_analytics.insight.pictures import PALETTE
from cloud_analytics.runtime.temporary import temporary_folder

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_APP = Path(__file__).with_name("app.py")
_LONGEST = 30  # seconds of a connection without a session
_LARGEST = 1 << 18  # bytes of a websocket message: a session keeps its query string in memory, in several copies


def check(host: str, port: int) -> None:
    """UsageError if the server cannot listen on this address."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise UsageError(
            f"cannot answer on {host}, port {port} ({error.strerror}): give others with --host, --port"
        ) from None


def serve(source: Source, host: str, port: int) -> None:
    """Show the pages of this source until SIGINT or SIGTERM."""
    Source.current = source
    os.chdir(_APP.parent)  # Streamlit reads settings from `.streamlit/` in the current folder, perhaps a stranger's
    settings: dict[str, object] = {
        "server_address": host,
        "server_port": port,
        "server_fileWatcherType": "none",
        "server_headless": None if sys.stdout.isatty() else True,
        "browser_gatherUsageStats": False,
        "client_toolbarMode": "minimal",
        "client_showErrorDetails": "none",
        "client_showErrorLinks": False,
        "runner_magicEnabled": False,
        "logger_level": "error",
        "logger_hideWelcomeMessage": True,
    }
    for theme, colour in (("light", PALETTE[0]), ("dark", PALETTE[4])):  # the browser chooses by the reader's system
        settings[f"theme_{theme}_primaryColor"] = colour
        settings[f"theme_{theme}_headingFontSizes"] = ["2rem", "1.6rem", "1.35rem"]
    bootstrap.load_config_options(settings)
    if not config.get_option("server.headless"):
        Thread(target=_open, args=(host, port, temporary_folder()), daemon=True).start()
    gate = Middleware(door.Gate, hosts=[host, *_LOOPBACK] if is_loopback(host) else [])
    server = uvicorn.Server(
        uvicorn.Config(
            st.App(_APP, middleware=[gate]),
            host=host,
            port=port,
            http=_BriefConnection,
            ws_per_message_deflate=False,
            ws_max_size=_LARGEST,
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=3,
        )
    )
    with suppress(KeyboardInterrupt, SystemExit):  # uvicorn sends the signal that ended it once more at its end
        server.run()
    if not server.started:
        raise UsageError(f"cannot answer on {host}, port {port}: give others with --host, --port")


class _BriefConnection(H11Protocol):
    """A connection that the server closes after `_LONGEST` seconds, unless a session has begun on it.

    Otherwise a client that sends slowly or nothing would keep it for ever, and a process has a limit of connections.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(_LONGEST, self._cut)

    def _cut(self) -> None:
        if self.transport.get_protocol() is self:  # a session (websocket) has another protocol
            self.transport.abort()


def _open(host: str, port: int, private: Path) -> None:
    """Open the link in a browser as soon as the server answers.

    The browser opens a file in a private folder that redirects to the link, because every account can read the
    arguments of the browser, and the link holds the token.
    """
    page = private / "dashboard.html"
    page.write_text(f'<meta http-equiv="refresh" content="0; url={door.link(get_display_address(host), port)}">')
    while True:
        with suppress(OSError):
            socket.create_connection((host, port), timeout=1).close()
            break
        time.sleep(0.1)
    cli_util.open_browser(page.as_uri())
