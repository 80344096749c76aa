"""Access control: only a reader with the link that the command printed gets in. The link holds a token of this start.

Every account of a machine can connect to its loopback address, so the address alone gives no access. The server runs
in the process of the command: the token is only in its memory, not in an argument or an environment variable.

On loopback, the server answers only requests for the names of this machine. Otherwise a web page could let its own
host name resolve to this address (DNS rebinding), and the browser would let that page read the answers.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_TOKEN = secrets.token_hex(16)


def link(host: str, port: int) -> str:
    """The URL of the first page, with the token."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={_TOKEN}"


def lets_in() -> bool:
    """Whether this session sent the token.

    The token stays in the URL, so a page that is loaded again sends it again. A text field that is bound to the URL
    keeps the token there from page to page; the style of the app hides the field.
    """
    given = st.text_input("Token", key="token", bind="query-params")
    return secrets.compare_digest(given.encode(), _TOKEN.encode())


class Gate:
    """ASGI middleware that passes on only websockets, GET and HEAD, and only for `hosts` (empty: for any host).

    All other requests are refused before Streamlit sees them: with uploads, a client without the token could fill the
    memory of the machine.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on or refuse one request, or one websocket of a session."""
        is_own = not self._hosts or _asked(Headers(scope=scope).get("host", "")) in self._hosts
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif not is_own and scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        elif not is_own:
            await PlainTextResponse("This is no name of this machine.", 403)(scope, receive, send)
        elif scope.get("method", "GET") not in ("GET", "HEAD"):
            await PlainTextResponse("Nothing is taken in here.", 405)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _asked(host: str) -> str | None:
    """The name or address in a `Host` header, without the port; None if there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
