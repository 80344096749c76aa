"""The folder of a lake as a reader finds it: its files and the JSON documents of its state. Needs no Spark."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake.files import ReadableFiles
from cloud_analytics.untrusted import json_value

ZONES = ("bronze", "silver", "gold", "quarantine")
LAST_TRANSACTION = "_state/last_transaction"  # exists in every lake that was ever written to
STORED = "_state/documents"  # see `LakeFolder.stored_documents`
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # stands for a null in the name of a partition's folder
REMEDY = "restore the lake from a backup, or fill an empty one from landing (--lake)"
REMEDY_FOR_A_FILE = (
    "restore it from a backup. One of Silver or Gold can be deleted with its folder: `cloud-analytics run` builds the"
    " partition again"
)

Content = TypeVar("Content")


@dataclass(frozen=True)
class Document(Generic[Content]):
    """A state document of a lake: its path without `.json`, and the type of its content (dataclass, dict, list).

    A document that was never stored has the content `kind()`.
    """

    path: str
    kind: type[Content]

    @cached_property
    def adapter(self) -> TypeAdapter[Content]:
        """Converts between the content and its JSON value."""
        return TypeAdapter(self.kind)


def or_list_of_values(kind: type[Any]) -> BeforeValidator:
    """Accept a dataclass also as a list of its values in the order of its fields, as earlier versions stored it."""
    names = [field.name for field in fields(kind)]
    return BeforeValidator(lambda value: dict(zip(names, value)) if isinstance(value, list) else value)


def text_hash(text: str) -> str:
    """A hash that tells one text of a state document from another."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class LakeFolder:
    """A lake's files and state documents. A document is read once and then served from memory."""

    files: ReadableFiles

    def __init__(self, files: ReadableFiles) -> None:
        self.files = files
        self.root = files.root
        self._documents: dict[str, Any] = {}  # as JSON values
        self._contents: dict[str, Any] = {}  # as values of their types

    def load(self, document: Document[Content]) -> Content:
        """The content of a state document. PipelineError if it has another type, or where `state` raises one."""
        if document.path not in self._contents:
            stored = self.state(document.path, None)
            try:
                content = document.kind() if stored is None else document.adapter.validate_python(stored)
            except ValidationError:
                raise self._damaged(f"{document.path}.json") from None
            self._contents[document.path] = content
        found: Content = self._contents[document.path]
        return found

    def stored_documents(self) -> dict[str, str]:
        """Path of each state document ever stored → hash of its text ("" if an earlier version stored it)."""
        found = self.state(STORED, None)
        if isinstance(found, list):
            return dict.fromkeys(found, "")
        if not isinstance(found, dict | type(None)):
            raise self._damaged(f"{STORED}.json")
        return found or {}

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

        return [path for path, digest in self.stored_documents().items() if digest and is_changed(path, digest)]

    def state(self, path: str, default: Any) -> Any:
        """The JSON value of a state document, or `default` if the document was never stored.

        PipelineError if the document was stored and is gone, is no JSON, or holds a value of another type than
        `default` (a default of None accepts any type).
        """
        if path not in self._documents:
            try:
                text = self.text(path)
                found = default if text is None else json_value(text)
            except ValueError:
                raise self._damaged(f"{path}.json") from None
            if default is not None and not isinstance(found, type(default)):
                raise self._damaged(f"{path}.json")
            if found is default and path != STORED and path in self.stored_documents():
                raise self._deleted(path)
            self._documents[path] = found
        return self._documents[path]

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
        self._documents.clear()
        self._contents.clear()

    def _deleted(self, path: str) -> PipelineError:
        return self._damaged(f"{path}.json", "was deleted")

    def _damaged(self, path: str, what: str = "is damaged") -> PipelineError:
        return PipelineError(f"{self.root}/{path} {what}, which says what the lake holds: {REMEDY}")
