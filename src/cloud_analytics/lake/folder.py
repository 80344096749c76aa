"""The folder of a lake as anybody finds it: its files and the JSON documents in it. Without Spark."""

from __future__ import annotations

import json
from typing import Any

from cloud_analytics.errors import PipelineError
from cloud_analytics.lake.files import ReadableFiles


class LakeFolder:
    """A lake's files and state documents. A document is read once, and then stays as it was read."""

    files: ReadableFiles

    def __init__(self, files: ReadableFiles) -> None:
        self.files = files
        self.root = files.root
        self._documents: dict[str, Any] = {}

    def state(self, document: str, default: Any) -> Any:
        """A JSON state document, or `default` when it was never stored. Errors: see `read_json`."""
        if document not in self._documents:
            self._documents[document] = self.read_json(f"{document}.json", default)
        return self._documents[document]

    def read_json(self, path: str, default: Any) -> Any:
        """What a file of the lake's state holds, or `default` where it is not there.

        PipelineError where it is no JSON, or holds another kind of value than the default is (None: any).
        """
        try:
            text = self.files.read_text(path)
            found = default if text is None else json.loads(text)
            if default is None or isinstance(found, type(default)):
                return found
        except ValueError:
            pass
        raise PipelineError(
            f"{self.root}/{path} is damaged, which says what the lake holds: restore the lake from a backup, or fill an"
            " empty one from landing (--lake)"
        )
