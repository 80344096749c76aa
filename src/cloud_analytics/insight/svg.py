"""Plots as elements of a web page."""

from __future__ import annotations

import re
import warnings
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from cloud_analytics.insight.colours import INK
from cloud_analytics.untrusted import on_a_page

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def svg(figure: Figure) -> Markup:
    """A figure as an `<svg>` element whose texts and axes take the colour of the page around them.

    The same figure gives the same element, without its date and the version of matplotlib.
    """
    drawn = StringIO()
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": figure.get_suptitle()}  # ids that no other figure has
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the browser's fonts draw what matplotlib's lack
        figure.savefig(drawn, format="svg", transparent=True, metadata=_NO_METADATA)
    text = drawn.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r' (xmlns(:xlink)?="[^"]*"|id="[\w.]+_\d+")', "", text)  # not needed in HTML; these ids would repeat
    return Markup(on_a_page(text))  # matplotlib has escaped what is markup
