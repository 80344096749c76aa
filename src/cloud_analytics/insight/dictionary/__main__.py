"""Writes the data dictionary to the file that is named."""

from __future__ import annotations

import sys
from pathlib import Path

from cloud_analytics.config import load
from cloud_analytics.insight.dictionary.document import document

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(load()), encoding="utf-8")
