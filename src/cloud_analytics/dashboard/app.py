"""The Streamlit app. Each page reads its tables again every few seconds, so that it shows what a stream adds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial

import streamlit as st

from cloud_analytics.dashboard import anomalies, billing, door, operations, organisation, provider, support
from cloud_analytics.dashboard.show import say
from cloud_analytics.dashboard.source import Source
from cloud_analytics.errors import CloudAnalyticsError

REFRESH = 5  # seconds
PAGES: dict[str, Callable[[Source], None]] = {
    "Provider": provider.page,
    "Organisation": organisation.page,
    "Anomalies and shifts": anomalies.page,
    "Billing": billing.page,
    "Support": support.page,
    "Operations": operations.page,
}


@st.fragment(run_every=REFRESH)
def show(name: str) -> None:
    """Show a page, or one sentence that says which data are missing."""
    try:
        PAGES[name](Source.current)
    except CloudAnalyticsError as error:
        say(str(error))
    st.caption(f"Looked at {datetime.now(timezone.utc):%H:%M:%S} UTC; every {REFRESH} seconds again.")


def main() -> None:
    """Show the page that the reader chose; a session without the token gets only one line."""
    st.set_page_config("Cloud Provider Analytics", layout="wide")
    # Less space at the top; no fading of a page while it is read again; the field with the token is hidden.
    st.html(
        "<style>.stMainBlockContainer {padding-top: 4rem} [data-stale] {opacity: 1 !important}"
        " .st-key-token {display: none}</style>"
    )
    if not door.lets_in():
        say("Open the link that `cloud-analytics dashboard` printed.")
        return
    pages = [
        st.Page(partial(show, name), title=name, url_path=name.lower().replace(" ", "-"), default=name == "Provider")
        for name in PAGES
    ]
    st.navigation(pages, position="top").run()


if __name__ == "__main__":
    main()
