"""The folder of a lake as a reader finds it: its files and the JSON documents of its state. Needs no Spark."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, TypeAdapter

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.untrusted import json_value

ZONES = ("bronze", "silver", "gold", "quarantine")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # stands for a null in the name of a partition's folder
REMEDY = "restore the lake from a backup, or fill an empty one from landing (--lake)"
REMEDY_FOR_A_FILE = (
    "restore it from a backup. One of Silver or Gold can be deleted with its folder: `cloud-analytics run` builds the"
    " partition again"
)

Content = TypeVar("Content")


@dataclass(frozen=True)
class Document(Generic[Content]):
    """A JSON document of a lake: its path without `.json`, the type of its content, and the content before any store.

    If that is None, null can be stored, too.
    """

    path: str
    kind: type[Content]
    default: Content = field(compare=False)  # shared by all lakes: like any loaded content it must not be changed

    @cached_property
    def adapter(self) -> TypeAdapter[Content]:
        """Converts between the content and its JSON value."""
        kind: Any = self.kind
        stored: Any = kind if self.default is not None else kind | None
        return TypeAdapter(stored)


def or_list_of_values(kind: type[Any]) -> BeforeValidator:
    """Accept a dataclass also as a list of its values in the order of its fields, as earlier versions stored it."""
    names = [one.name for one in fields(kind)]
    return BeforeValidator(lambda value: dict(zip(names, value)) if isinstance(value, list) else value)


LAST_TRANSACTION = Document("_state/last_transaction", int, None)
"""The number of the last transaction. It exists in every lake that was ever written to."""
_Hashes = Annotated[
    dict[str, str],
    BeforeValidator(lambda found: {str(path): "" for path in found} if isinstance(found, list) else found),
]
STORED: Document[dict[str, str]] = Document("_state/documents", _Hashes, {})
"""Path of each state document ever stored → hash of its text ("" if an earlier version stored it)."""


def text_hash(text: str) -> str:
    """A hash that tells one text of a state document from another."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class LakeFolder:
    """A lake's files and state documents. A document is read once and then served from memory."""

    files: ReadableFiles

    def __init__(self, files: ReadableFiles) -> None:
        self.files = files
        self.root = files.root
        self._contents: dict[str, Any] = {}
        self._texts: dict[str, str] = {}  # known texts of documents that are not in `_contents`

    def load(self, document: Document[Content]) -> Content:
        """The content of a state document.

        PipelineError if the document was stored and is gone, is no JSON, or holds a value of another type.
        """
        path = document.path
        if path not in self._contents:
            text = self._texts.pop(path, None) or self.text(path)
            if text is None and document is not STORED and path in self.load(STORED):
                raise self._deleted(path)
            try:
                known = document.default if text is None else document.adapter.validate_python(json_value(text))
            except ValueError:
                raise self._damaged(f"{path}.json") from None
            self._contents[path] = known
        found: Content = self._contents[path]
        return found

    def text(self, path: str) -> str | None:
        """The text of a state document; None if there is no document. PipelineError if it is no text."""
        try:
            return self.files.read_text(f"{path}.json")
        except ValueError:
            raise self._damaged(f"{path}.json") from None

    def changed_documents(self) -> list[str]:
        """The paths of the state documents whose text is not as the last transaction left it."""

        def is_changed(path: str, digest: str) -> bool:
            try:
                text = self.text(path)
            except PipelineError:
                return True
            return text is not None and text_hash(text) != digest

        return [path for path, digest in self.load(STORED).items() if digest and is_changed(path, digest)]

    def data_files(self, table: str) -> dict[str, int]:
        """Path of each data file, relative to the table or folder → its bytes. UsageError for a link out of the lake.

        A file name begins with the number of the transaction that wrote the file. A file that replaced another file
        has the name of that file.
        """
        self._expect_inside(table)
        prefix = None
        found = {}
        for info in self.files.files(table):
            if prefix is None:
                marker = f"/{table}/"
                prefix = info.path.index(marker, len(self.root) - 1 if self.root in info.path else 0) + len(marker)
            found[info.path[prefix:]] = info.length
        return found

    def _expect_inside(self, *folders: str) -> None:
        """UsageError if a link leads out of the lake: in another user's lake it could lead to any of our files."""
        for folder in folders:
            if self.files.leads_out(f"{folder}/x"):
                raise UsageError(f"{self.root}/{folder} is a link out of the lake: link the whole folder instead")

    def _forget(self) -> None:
        """Read the documents again at the next use: another process may have stored newer ones."""
        self._contents.clear()
        self._texts.clear()

    def _deleted(self, path: str) -> PipelineError:
        return self._damaged(f"{path}.json", "was deleted")

    def _damaged(self, path: str, what: str = "is damaged") -> PipelineError:
        return PipelineError(f"{self.root}/{path} {what}, which says what the lake holds: {REMEDY}")
