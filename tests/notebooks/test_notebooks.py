"""The notebooks run top to bottom, one after the other, as a person would run them; and they stay short and clean."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from cloud_analytics.generate import GeneratorSettings
from cloud_analytics.notebook import ensure_landing
from cloud_analytics.runtime.filelock import is_locked
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.tables import tables
from tests.notebooks.execution import NAMES, REPOSITORY, WorkingCopy, code_cells, digest, noise

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
# A path, an object's address in memory, an address of a host.
MACHINE = re.compile(r"/(work|tmp|root|home|Users|var|usr|opt)/|\bat 0x|://|\b\d+(\.\d+){3}\b|\blocalhost\b")
LARGEST, LARGEST_TOGETHER = 500_000, 2_000_000

executing = [pytest.mark.notebooks, pytest.mark.spark, pytest.mark.cassandra]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> WorkingCopy:
    settings = GeneratorSettings(events=2_000, days=12, orgs=6, anomalies=True, informative=True)
    copy = WorkingCopy(tmp_path_factory.mktemp("notebooks"), settings)
    for module in ("cloud_analytics", "pandas", "pyspark"):  # as a stranger may put them into a folder like /tmp
        (copy.outside / f"{module}.py").write_text("raise SystemExit('code of the current folder was run')")
    return copy


@pytest.fixture(scope="module")
def executed(copy: WorkingCopy) -> dict[str, NotebookNode]:
    """Every notebook, run in order; Jupyter starts them in `notebooks/`, other tools where they are called."""
    places = [None, copy.root, None, copy.root, copy.outside]
    return {name: copy.run(name, place) for name, place in zip(NAMES, places, strict=True)}


def output(notebook: NotebookNode, cell_id: str, kind: str = "text/plain") -> str:
    """What a cell shows last."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    return str([shown["data"][kind] for shown in cell.outputs if kind in shown.get("data", {})][-1])


def kinds(cell: NotebookNode) -> set[str]:
    """What a cell shows: the type of each of its outputs."""
    return {kind for shown in cell.outputs for kind in shown.get("data", {shown.get("name", shown.output_type): ""})}


def saved(name: str) -> NotebookNode:
    return nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", NAMES)
class TestEachExecuted:
    pytestmark = executing

    def test_runs_without_noise_and_shows_tables_and_a_plot(self, executed: dict[str, NotebookNode], name: str) -> None:
        assert {"text/html", "image/png"} <= set().union(*map(kinds, code_cells(executed[name])))
        assert list(noise(executed[name])) == []

    def test_shows_what_the_saved_one_shows(self, executed: dict[str, NotebookNode], name: str) -> None:
        pairs = zip(code_cells(executed[name]), code_cells(saved(name)), strict=True)
        for now, then in pairs:
            assert (now.id, now.source, now.execution_count) == (then.id, then.source, then.execution_count)
            assert kinds(now) == kinds(then), now.id


class TestExecuted:
    pytestmark = executing

    def test_nothing_is_left_held(self, executed: dict[str, NotebookNode], copy: WorkingCopy) -> None:
        assert tuple(executed) == NAMES
        assert not is_locked(copy.lake / "_state" / "writer.lock")
        assert not EmbeddedNode(copy.lake / "_cassandra").status()["running"]

    def test_serving_equals_gold_and_a_second_run_loads_nothing(
        self, executed: dict[str, NotebookNode], copy: WorkingCopy
    ) -> None:
        again = copy.run("04_serve", copy.root)
        assert all(name in output(executed["04_serve"], "serve") for name in tables())
        assert "Empty DataFrame" in output(again, "serve")
        for notebook in (executed["04_serve"], again):
            assert output(notebook, "comparison", "text/html").count(">yes</td>") == len(tables())


@pytest.mark.parametrize("name", NAMES)
class TestEachSaved:
    """What is read where nothing runs: on a code host, in a review."""

    def test_was_executed_whole_and_in_order(self, name: str) -> None:
        cells = code_cells(saved(name))
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        assert {"text/html", "image/png"} <= set().union(*map(kinds, cells))
        assert not {"error", "stderr"} & set().union(*map(kinds, cells))

    def test_shows_the_outputs_of_its_own_code(self, name: str) -> None:
        assert saved(name).metadata.cloud_analytics.executed_code == digest(saved(name)), "run `make notebooks`"

    def test_shows_no_index_no_object_and_nothing_broken_but_in_the_part_of_the_dirt(self, name: str) -> None:
        for cell in code_cells(saved(name)):
            for shown in cell.outputs:
                data = shown.get("data", {})
                assert "image/png" in data or "text/html" in data or shown.output_type == "stream", cell.id
                assert "dataframe" not in data.get("text/html", ""), f"{cell.id}: a frame with pandas' own index"
                assert "malformed_json" not in str(data) or cell.id in {"dirt", "raw", "rejects"}

    def test_tells_nothing_of_the_machine(self, name: str) -> None:
        for cell in code_cells(saved(name)):
            told = [str(cell.metadata)]
            for shown in cell.outputs:
                texts = [text for kind, text in shown.get("data", {}).items() if kind != "image/png"]
                told += ["".join(text) for text in [*texts, shown.get("text", "")]]
            assert not MACHINE.search("\n".join(told)), cell.id

    def test_is_small(self, name: str) -> None:
        assert (REPOSITORY / "notebooks" / f"{name}.ipynb").stat().st_size < LARGEST


def test_they_are_small_together() -> None:
    assert sum(path.stat().st_size for path in NOTEBOOKS) < LARGEST_TOGETHER


def test_they_are_in_order() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(NAMES)


@each_notebook
def test_a_notebook_is_text_and_short_cells(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"cloud_analytics", "kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].source.startswith("# ")
    assert "(attachment:flow.png)" in notebook.cells[0].source
    assert set(notebook.cells[0].attachments["flow.png"]) == {"image/png"}
    assert [cell.id for cell in notebook.cells if cell.cell_type == "code"][0] == "setup"
    assert notebook.cells[-2].source.startswith("**What was learned.**")
    for before, cell in zip(notebook.cells, notebook.cells[1:]):
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", f"{cell.id}: no sentence says what is seen"
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


def test_landing_data_are_made_once_for_a_new_lake_and_never_over_others(tmp_path: Path) -> None:
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    few = GeneratorSettings(events=10, days=2, orgs=1)
    ensure_landing(str(landing), str(lake), few)
    made = {path: path.read_bytes() for path in landing.rglob("*.*")}
    assert made
    ensure_landing(str(landing), str(lake))
    assert {path: path.read_bytes() for path in landing.rglob("*.*")} == made
    ensure_landing("s3a://bucket/landing", str(lake))
    (lake / "_state").mkdir(parents=True)
    (lake / "_state" / "last_transaction.json").write_text("1")
    ensure_landing(str(tmp_path / "away"), str(lake), few)  # the folder of a lake that holds data is away
    assert not (tmp_path / "away").exists()
