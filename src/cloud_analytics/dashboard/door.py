"""Who may look: whoever has the link that the command printed, with the token of this start.

Every account of a machine reaches its loopback address, so the address alone lets nobody in. The server runs in the
process of the command: the token is in its memory, in no argument and in no variable of the environment.
"""

from __future__ import annotations

import secrets

import streamlit as st

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
