"""The style of all plots, parts that plots share, and the conversion of plots to SVG elements."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from cloud_analytics.insight.pictures import INK, PALETTE
from cloud_analytics.untrusted import on_a_page, printable

_STYLE: Any = {
    "figure.figsize": (9.0, 4.0),
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.titlesize": "large",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
}
_NUMBERS = StrMethodFormatter("{x:,.10g}")
_LABEL_LENGTH = 34
_LEGEND_COLUMNS = 3
_FEWEST_DAYS = 7


@contextmanager
def own_settings() -> Iterator[None]:
    """Draw without the settings of a user's `matplotlibrc` for colours, sizes, LaTeX and the time zone."""
    with mpl.rc_context():
        mpl.rcdefaults()  # keeps a few settings; only one of these changes a plot
        mpl.rcParams["timezone"] = "UTC"
        yield


@contextmanager
def panels(title: str, x: str, *y: str) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure with one panel per `y` label; the panels lie one above the other and share the x axis."""
    with plt.rc_context(_STYLE):
        figure = plt.figure(layout="constrained")  # by pyplot: Jupyter shows no figure before pyplot made its first one
        plt.close(figure)
        figure.set_figheight(figure.get_figheight() * (0.75 + 0.25 * len(y)))
        column: list[Axes] = list(figure.subplots(len(y), sharex=True, squeeze=False)[:, 0])
        figure.suptitle(title, x=0.01, horizontalalignment="left")
        column[-1].set_xlabel(x)
        for axes, label in zip(column, y):
            axes.set_ylabel(label)
            axes.yaxis.set_major_formatter(_NUMBERS)
        yield figure, column


def dates(axes: Axes) -> None:
    """Mark days, weeks or months on the x axis, as far as readable, but never parts of a day."""
    first, last = axes.dataLim.intervalx
    if 0 <= last - first < _FEWEST_DAYS:
        axes.set_xlim((first + last - _FEWEST_DAYS) / 2, (first + last + _FEWEST_DAYS) / 2)
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def stack(axes: Axes, table: pd.DataFrame, width: float = 0.9, colours: Sequence[str] = PALETTE) -> None:
    """Draw one bar per row of `table`, stacked by its columns."""
    below = pd.Series(0.0, index=table.index)
    for name, colour in zip(table.columns, itertools.cycle(colours)):
        axes.bar(table.index, table[name], bottom=below, width=width, color=colour, label=label(name))
        below += table[name]


def names(axes: Axes, texts: Sequence[str]) -> None:
    """Label horizontal bars, the first one on top, and set the height of the figure by their number."""
    axes.set_yticks(range(len(texts)), [label(text) for text in texts])
    axes.xaxis.set_major_formatter(_NUMBERS)
    axes.set_ylim(max(len(texts), 4) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_figheight(1.5 + 0.28 * max(5, len(texts)))


def shortened(text: object, length: int) -> str:
    """A text from the data in one line of at most `length` characters, as `printable` shows it."""
    line = printable(" ".join(str(text).split()))
    return line if len(line) <= length else line[: length - 1] + "…"


def label(text: object) -> str:
    """Change a text from the data so that matplotlib draws it literally, without leading underscores.

    matplotlib takes text between two $ for TeX, and leaves texts that begin with an underscore out of a legend.
    """
    return shortened(text, _LABEL_LENGTH).replace("$", r"\$").lstrip("_")


def finish(figure: Figure, frame: pd.DataFrame) -> Figure:
    """Add the legend below the panels; if the frame has no rows, add a text that says so instead."""
    if frame.empty:
        axes = figure.axes[0]
        axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center")
        return figure
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, text in zip(*axes.get_legend_handles_labels()):
            handles.setdefault(text, handle)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=_LEGEND_COLUMNS)
    return figure


def svg(figure: Figure) -> Markup:
    """Convert a figure to an `<svg>` element whose texts and axes take the text colour of the page.

    The same figure always gives the same element, because it holds neither a date nor the version of matplotlib.
    """
    drawn, no_metadata = StringIO(), dict.fromkeys(("Creator", "Date", "Format", "Type"))
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": figure.get_suptitle()}  # unique ids per figure
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the browser has fonts for glyphs that matplotlib lacks
        figure.savefig(drawn, format="svg", transparent=True, metadata=no_metadata)
    text = drawn.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r' (xmlns(:xlink)?="[^"]*"|id="[\w.]+_\d+")', "", text)  # HTML needs no xmlns; these ids repeat
    return Markup(on_a_page(text))  # matplotlib has already escaped markup
