"""Slides from text: Markdown whose slides are parted by `---`, as one HTML file that loads nothing from anywhere.

`![What it shows](plot:NAME)` is one of the project's own plots, `![…](img/x.png)` a picture beside the text.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from cloud_analytics.errors import UsageError

PLOT = "plot:"


def build(text: str, folder: Path, plots: Mapping[str, str]) -> str:
    """The page. `folder` is where the text's links begin, `plots` holds an `<svg>` for each name that it calls.

    Raises UsageError for a plot or a picture that is not there.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    # The renderer's rules would be found by name on it; data URIs and plots are no links that it should check.
    markdown.add_render_rule("image", _image(folder, plots))
    slides: list[list[Token]] = [[]]
    for token in markdown.parse(text):
        if token.type == "hr" and token.level == 0:
            slides.append([])
        else:
            slides[-1].append(token)
    rendered = [Markup(markdown.renderer.render(tokens, markdown.options, {})) for tokens in slides if tokens]
    template = Path(__file__).with_name("slides.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(template).render(slides=rendered, title=_title(markdown.parse(text))) + "\n"


def images(text: str) -> list[str]:
    """What the images of a text name: `plot:NAME`, or a path relative to it."""
    return [_source(token) for token in _inline(MarkdownIt().parse(text)) if token.type == "image"]


def links(text: str) -> list[str]:
    """Where the links of a text lead."""
    tokens = _inline(MarkdownIt().parse(text))
    return [str(token.attrGet("href")) for token in tokens if token.type == "link_open"]


def _image(folder: Path, plots: Mapping[str, str]) -> Any:
    def render(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        source, words = _source(tokens[index]), tokens[index].content
        if source.startswith(PLOT):
            name = source.removeprefix(PLOT)
            if name not in plots:
                raise UsageError(f"no plot is called {name!r}; there are: {', '.join(sorted(plots))}")
            return str(
                Markup('<span class="plot" role="img" aria-label="{}">{}</span>').format(words, Markup(plots[name]))
            )
        picture = folder / source
        if not picture.is_file():
            raise UsageError(f"the picture {source} is not there")
        kind = mimetypes.guess_type(picture.name)[0]
        data = base64.b64encode(picture.read_bytes()).decode()
        return str(Markup('<img alt="{}" src="data:{};base64,{}">').format(words, kind, data))

    return render


def _source(image: Token) -> str:
    return str(image.attrGet("src"))


def _inline(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield token
        yield from token.children or []


def _title(tokens: Sequence[Token]) -> str:
    headings = (after.content for token, after in zip(tokens, tokens[1:]) if token.type == "heading_open")
    return next(headings, "Slides")
