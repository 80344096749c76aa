"""Who may look: whoever has the link that the command printed, with the token of this start.

Every account of a machine reaches its loopback address, so the address alone lets nobody in. The server runs in the
process of the command: the token is in its memory, in no argument and in no variable of the environment.

On loopback only the names of this machine are answered to. A page elsewhere may have its own name lead here (DNS
rebinding), and then a browser would let it read what this server answers.
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
    """The address of the first page, with the token."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={_TOKEN}"


def lets_in() -> bool:
    """Whether this session brought the token.

    The token stays in the address, so a page that is loaded again brings it again. A field that is bound to the address
    keeps it there from page to page; the style of the app hides the field.
    """
    given = st.text_input("Token", key="token", bind="query-params")
    return secrets.compare_digest(given.encode(), _TOKEN.encode())


class Gate:
    """Passes on what is read, of one of these hosts if there are any; all else is refused before Streamlit sees it.

    Nothing is uploaded: whoever has no token could fill the memory of the machine.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or begin one session."""
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
    """The name or address in a `Host` header, without the port; None where there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
