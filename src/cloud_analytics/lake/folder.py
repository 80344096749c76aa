"""The folder of a lake as anybody finds it: its files and the JSON documents in it. Without Spark."""

from __future__ import annotations

import json
from typing import Any

from cloud_analytics.lake.files import ReadableFiles


class LakeFolder:
    """A lake's files and state documents. A document is read once, and then stays as it was read."""

    files: ReadableFiles

    def __init__(self, files: ReadableFiles) -> None:
        self.files = files
        self.root = files.root
        self._documents: dict[str, Any] = {}

    def state(self, document: str, default: Any) -> Any:
        """A JSON state document, or `default` when it was never stored."""
        if document not in self._documents:
            text = self.files.read_text(f"{document}.json")
            self._documents[document] = default if text is None else json.loads(text)
        return self._documents[document]
