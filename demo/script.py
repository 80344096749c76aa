"""docs/demo.md as the recording sees it: scenes with a title and the commands that its blocks print."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt


@dataclass(frozen=True)
class Scene:
    """A section of the script, whose heading begins with its moment (`1:20 …`), and its commands in their order."""

    title: str
    commands: tuple[str, ...]


def scenes(text: str) -> list[Scene]:
    """The sections that print commands: fenced blocks that name no language, as everywhere in the documents."""
    found: list[tuple[str, list[str]]] = []
    tokens = MarkdownIt().parse(text)
    for before, token in zip([None, *tokens], tokens):
        if before is not None and before.type == "heading_open" and before.tag <= "h2":
            found.append((token.content, []))
        elif token.type == "fence" and not token.info and found:
            lines = (line.partition(" #")[0].strip() for line in token.content.splitlines())
            found[-1][1].extend(line for line in lines if line)
    # What stands below no moment of the talk is about the script, and no part of it.
    return [Scene(title, tuple(commands)) for title, commands in found if commands and re.match(r"\d+:\d\d ", title)]
