"""Slides from text: Markdown with `---` between slides becomes one HTML file, which loads nothing from anywhere.

`![What it shows](plot:NAME)` is one of the project's own plots, `![…](img/x.png)` a picture in the text's folder.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping, Sequence
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
    """The page, titled by its first heading. Links begin at `folder`; `plots` has an `<svg>` for each plot's name.

    UsageError for a plot or a picture that is not there.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("image", _image(folder, plots))
    parsed = markdown.parse(text)
    slides: list[list[Token]] = [[]]
    for token in parsed:
        if token.type == "hr" and token.level == 0:
            slides.append([])
        else:
            slides[-1].append(token)
    rendered = [Markup(markdown.renderer.render(tokens, markdown.options, {})) for tokens in slides if tokens]
    template = Path(__file__).with_name("slides.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    title = next((after.content for token, after in zip(parsed, parsed[1:]) if token.type == "heading_open"), "Slides")
    return environment.from_string(template).render(slides=rendered, title=title) + "\n"


def _image(folder: Path, plots: Mapping[str, str]) -> Any:
    """The rule by which the Markdown renderer writes an image."""

    def render(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        source, words = str(tokens[index].attrGet("src")), tokens[index].content
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
