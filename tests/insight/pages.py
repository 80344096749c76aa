"""Reads a page of the report as a browser would: elements, texts, and the exact numbers of each section."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "link", "input"}


@dataclass
class Page(HTMLParser):
    """`elements`: (tag, attributes); `tables`: caption → rows of (shown text, exact values); `tiles`: name → exact."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[list[tuple[str, str]]]] = field(default_factory=dict)
    tiles: dict[str, str] = field(default_factory=dict)
    text: str = ""
    _section: str = ""
    _caption: str = ""
    _tile: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def read(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        assert page.open == [], "every element is closed"
        return page

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        attributes = self.elements[-1][1]
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "section":
            self._section = attributes["id"]
            self.sections[self._section] = ""
        elif tag == "caption":
            self._caption = ""
        elif tag == "tr" and "tbody" in self.open:
            self.tables[self._caption].append([])
        elif tag in ("td", "th") and "tbody" in self.open:
            self.tables[self._caption][-1].append(("", ""))
        elif tag == "dt":
            self._tile = ""
        elif tag == "data" and "dl" in self.open:
            self.tiles[self._tile] = attributes["value"]
        elif tag == "data":
            shown, _ = self.tables[self._caption][-1][-1]
            self.tables[self._caption][-1][-1] = (shown, attributes["value"])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "caption":
            self.tables[self._caption] = []

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if self._section and "section" in self.open:
            self.sections[self._section] += data
        if "caption" in self.open:
            self._caption += data
        elif "dt" in self.open:
            self._tile += data
        elif "tbody" in self.open and ("td" in self.open or "th" in self.open):
            row = self.tables[self._caption][-1]
            shown, exact = row[-1]
            row[-1] = ((shown + data).strip(), exact)
