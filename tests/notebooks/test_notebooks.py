"""The notebooks run top to bottom, one after the other, as a person would run them; and they stay short and clean."""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.notebook import ensure_landing
from cloud_analytics.runtime.filelock import is_locked
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.tables import tables
from tests.conftest import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
NAMES = ["01_bronze", "02_silver", "03_gold", "04_serve", "05_insights"]

executing = [pytest.mark.notebooks, pytest.mark.spark, pytest.mark.cassandra]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


class Runner:
    """Executes notebooks with this very interpreter, on one landing folder and one lake."""

    def __init__(self, folder: Path) -> None:
        self.landing, self.lake, self.jupyter = folder / "landing", folder / "lake", folder / "jupyter"
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel = self.jupyter / "kernels" / "python3" / "kernel.json"
        kernel.parent.mkdir(parents=True)
        kernel.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))

    def run(self, name: str, start_in: Path) -> Any:
        """The notebook with its outputs; a cell that fails raises CellExecutionError."""
        notebook = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
        folders = {"CLOUD_ANALYTICS_LANDING": str(self.landing), "CLOUD_ANALYTICS_LAKE": str(self.lake)}
        where = {"metadata": {"path": str(start_in)}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(self.jupyter))
            patch.setenv("IPYTHONDIR", str(self.jupyter / "ipython"))
            client = NotebookClient(notebook, kernel_name="python3", timeout=600, resources=where)
            return client.execute(env={**os.environ, **folders})


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    runner = Runner(tmp_path_factory.mktemp("notebooks"))
    generate(runner.landing, GeneratorSettings(events=2_000, days=12, orgs=6, dirty=True, dirt_per_kind=1))
    return runner


@pytest.fixture(scope="module")
def executed(runner: Runner) -> dict[str, Any]:
    """Every notebook, run in order; Jupyter starts them in `notebooks/`, other tools where they are called."""
    places = [REPOSITORY / "notebooks", REPOSITORY, REPOSITORY / "notebooks", REPOSITORY, runner.jupyter]
    return {name: runner.run(name, place) for name, place in zip(NAMES, places, strict=True)}


def output(notebook: Any, cell_id: str, kind: str = "text/plain") -> str:
    """What a cell shows last."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    return str([shown["data"][kind] for shown in cell.outputs if kind in shown.get("data", {})][-1])


def kinds(notebook: Any) -> set[str]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {kind for cell in cells for shown in cell.outputs for kind in shown.get("data", {})}


@pytest.mark.parametrize("name", NAMES)
class TestEachExecuted:
    pytestmark = executing

    def test_runs_and_shows_tables_and_a_plot(self, executed: dict[str, Any], name: str) -> None:
        assert {"text/html", "image/png"} <= kinds(executed[name])


class TestExecuted:
    pytestmark = executing

    def test_nothing_is_left_held(self, executed: dict[str, Any], runner: Runner) -> None:
        assert set(executed) == set(NAMES)
        assert not is_locked(runner.lake / "_state" / "writer.lock")
        assert not EmbeddedNode(runner.lake / "_cassandra").status()["running"]

    def test_serving_equals_gold_and_a_second_run_loads_nothing(self, executed: dict[str, Any], runner: Runner) -> None:
        again = runner.run("04_serve", REPOSITORY)
        assert all(name in output(executed["04_serve"], "serve") for name in tables())
        assert "Empty DataFrame" in output(again, "serve")
        for notebook in (executed["04_serve"], again):
            assert output(notebook, "comparison", "text/html").count("<td>True</td>") == len(tables()) == 7


def test_they_are_in_order() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@each_notebook
def test_a_notebook_is_text_and_short_cells_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].source.startswith("# ")
    for before, cell in zip(notebook.cells, notebook.cells[1:]):
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", f"{cell.id}: no sentence says what is seen"
            assert cell.outputs == []
            assert cell.execution_count is None
            assert len(cell.source.splitlines()) <= 15


@each_notebook
def test_a_notebook_calls_and_defines_nothing(path: Path) -> None:
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    for cell in nbformat.read(path, as_version=4).cells:
        for node in ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" else []:
            assert not isinstance(node, defining), f"{cell.id} defines something"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("/", "~")), f"{cell.id} names an absolute path"


def test_every_notebook_is_set_up_alike() -> None:
    set_up = {
        cell.source for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells if cell.id == "setup"
    }
    assert len(set_up) == 1


def test_landing_data_are_made_once_and_never_over_others(tmp_path: Path) -> None:
    ensure_landing(str(tmp_path / "landing"), GeneratorSettings(events=10, days=2, orgs=1))
    made = {path: path.read_bytes() for path in (tmp_path / "landing").rglob("*.*")}
    assert made
    ensure_landing(str(tmp_path / "landing"))
    assert {path: path.read_bytes() for path in (tmp_path / "landing").rglob("*.*")} == made
    ensure_landing("s3a://bucket/landing")
