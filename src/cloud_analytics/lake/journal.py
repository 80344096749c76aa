"""The journal of a decided transaction: what its process does to the lake's files, and the next process finishes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator

from cloud_analytics.lake.folder import Document


def _inside(path: str) -> str:
    """The path; ValueError where it leads out of the lake. No journal of ours does so, but a stranger's lake may."""
    if path.startswith("/") or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError("leads out of the lake")
    return path


_Path = Annotated[str, AfterValidator(_inside)]


@dataclass(frozen=True)
class Journal:
    """Files and documents that a transaction changes. Paths are relative to the lake.

    `remove`: files that go. `replace`: (staged file, file whose name it takes in one step). `move`: (staged file, its
    place). `documents`: path of a state document, without `.json` → its content. `lines`: path of a JSON Lines file →
    its text.
    """

    number: int
    remove: list[_Path]
    move: list[tuple[_Path, _Path]]
    documents: dict[_Path, Any]
    lines: dict[_Path, str]
    replace: list[tuple[_Path, _Path]] = field(default_factory=list)

    def paths(self) -> Iterator[str]:
        """Every path that it names."""
        yield from itertools.chain(self.remove, *self.move, *self.replace, self.documents, self.lines)


JOURNAL = Document("_state/journal", Journal)
