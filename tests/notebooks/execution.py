"""Executes the notebooks in order and saves them with their outputs: `python -m tests.notebooks.execution`.

They run in a fresh working copy, over landing data that the generator makes: the same settings give the same data, and
paths that a notebook shows are those of the copy, from its root. Of the machine, of the time and of the kernel nothing
is saved; a digest of the code is, so that a test can tell outputs that no longer belong to their cells.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from cloud_analytics.config import load
from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.insight import plots
from cloud_analytics.lake.files import open_files
from cloud_analytics.notebook import CLEAN
from cloud_analytics.reading.audit import audit
from cloud_analytics.reading.flow import flow
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.serving.node import EmbeddedNode

REPOSITORY = Path(__file__).resolve().parents[2]
# Each notebook, and the zones that have colours in the picture it begins with.
STEPS = {
    "01_bronze": ("landing", "bronze"),
    "02_silver": ("bronze", "silver", "quarantine"),
    "03_gold": ("silver", "gold"),
    "04_serve": ("gold", "serving"),
    "05_insights": ("gold",),
}
NAMES = tuple(STEPS)


class WorkingCopy:
    """The repository's notebooks, code and configuration in a folder of their own, with landing data and no lake."""

    def __init__(self, folder: Path, settings: GeneratorSettings) -> None:
        self.root, self.outside = folder / "copy", folder / "outside"
        self.landing, self.lake = self.root / "data" / "landing", self.root / "data"
        for part in ("notebooks", "src", "conf"):
            shutil.copytree(REPOSITORY / part, self.root / part, ignore=shutil.ignore_patterns("__pycache__"))
        self.outside.mkdir()
        generate(self.landing, settings)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        kernel = folder / "jupyter" / "kernels" / "python3" / "kernel.json"
        kernel.parent.mkdir(parents=True)
        kernel.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
        self._environment = {
            "JUPYTER_PATH": str(folder / "jupyter"),
            "IPYTHONDIR": str(folder / "jupyter" / "ipython"),
            "PYTHONPATH": str(self.root / "src"),
        }

    def run(self, name: str, start_in: Path | None = None) -> NotebookNode:
        """A notebook with its outputs, started in `notebooks/` or elsewhere; CellExecutionError where a cell fails.

        Outside of the copy a notebook finds no repository above it, and is told where the data lie.
        """
        notebook = nbformat.read(self.root / "notebooks" / f"{name}.ipynb", as_version=4)
        place = start_in or self.root / "notebooks"
        environment = dict(self._environment)
        if self.root not in (place, *place.parents):
            environment |= {"CLOUD_ANALYTICS_LANDING": str(self.landing), "CLOUD_ANALYTICS_LAKE": str(self.lake)}
        with mock.patch.dict(os.environ, environment):
            os.environ.pop("MPLBACKEND", None)  # one that this process chose, or its user: a notebook draws in itself
            client = NotebookClient(
                notebook,
                kernel_name="python3",
                timeout=600,
                record_timing=False,
                coalesce_streams=True,
                resources={"metadata": {"path": str(place)}},
            )
            executed: NotebookNode = client.execute(env=dict(os.environ))
        return executed


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that are executed, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def digest(notebook: NotebookNode) -> str:
    """Changes when any code cell does."""
    code = [[cell.id, cell.source] for cell in code_cells(notebook)]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def noise(notebook: NotebookNode) -> Iterator[str]:
    """What cells wrote to standard error."""
    for cell in code_cells(notebook):
        yield from (f"{cell.id}: {shown.text}" for shown in cell.outputs if shown.get("name") == "stderr")


def give_pictures(notebooks: dict[str, NotebookNode], copy: WorkingCopy) -> None:
    """Put the map of the lake that was shown into the first cell of each notebook."""
    lake, landing = LakeReader(open_files(str(copy.lake))), open_files(str(copy.landing))
    frame = flow(lake, audit(lake, landing, load()))
    for name, notebook in notebooks.items():
        plots.flow(frame, STEPS[name]).savefig(drawn := io.BytesIO(), format="png")
        notebook.cells[0].attachments = {"flow.png": {"image/png": base64.b64encode(drawn.getvalue()).decode()}}


def _with_palette(png: str) -> str:
    """A picture in at most 256 colours, which a plot does not exceed by much: a third of the bytes."""
    Image.open(io.BytesIO(base64.b64decode(png))).quantize(256).save(small := io.BytesIO(), "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def save(notebook: NotebookNode, path: Path) -> None:
    """Write an executed notebook with what a reader needs, whatever the kernel and the machine were."""
    for cell in notebook.cells:
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        for data in [*shown, *cell.get("attachments", {}).values()]:
            if "image/png" in data:
                data["image/png"] = _with_palette(data["image/png"])
    notebook.metadata = {
        "cloud_analytics": {"executed_code": digest(notebook)},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def main() -> int:
    """Execute all notebooks, then save all: either every notebook shows the same lake, or nothing changes."""
    with tempfile.TemporaryDirectory(prefix="notebooks-") as folder:
        copy = WorkingCopy(Path(folder), CLEAN)
        executed = {}
        try:
            for name in NAMES:
                began = time.monotonic()
                executed[name] = copy.run(name)
                print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
            give_pictures(executed, copy)
        finally:  # a notebook that failed did not come to its last cell, which stops the node
            EmbeddedNode(copy.lake / "_cassandra").stop()
    problems = [line for notebook in executed.values() for line in noise(notebook)]
    for problem in problems:
        print(f"error: standard error of {problem}", file=sys.stderr)
    if problems:
        return 1
    for name, notebook in executed.items():
        save(notebook, REPOSITORY / "notebooks" / f"{name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
