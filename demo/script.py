"""docs/demo.md as the film needs it: scenes, each with a title and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt


@dataclass(frozen=True)
class Scene:
    """A section of the script, whose heading begins with a time (`1:20 …`), and its commands in their order."""

    title: str
    commands: tuple[str, ...]


def scenes(text: str) -> list[Scene]:
    """The sections that have commands: the lines of fenced blocks without a language."""
    found: list[tuple[str, list[str]]] = []
    tokens = MarkdownIt().parse(text)
    for before, token in zip([None, *tokens], tokens):
        if before is not None and before.type == "heading_open" and before.tag <= "h2":
            found.append((token.content, []))
        elif token.type == "fence" and not token.info and found:
            lines = (line.partition(" #")[0].strip() for line in token.content.splitlines())
            found[-1][1].extend(line for line in lines if line)
    # Sections whose heading has no time are about the script, and no part of it.
    return [Scene(title, tuple(commands)) for title, commands in found if commands and re.match(r"\d+:\d\d ", title)]
