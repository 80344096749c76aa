"""The milestones M5 and M6: what a checkout of the project shows of its tests, documents and notebooks.

Nothing is run here. That something was run is read from what the runs leave behind: pytest's cache, and outputs in
notebooks. Where there is no such record, the verdict is `not_checked`, and says what would make one.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from cloud_analytics.validation.checks import Check, Verdict, verdict

_CACHE = ".pytest_cache/v/cache"
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)")
_DOCUMENTS = ("README.md", "docs", "data/landing")


def find_checkout() -> Path | None:
    """The project's folder, where the package runs from a checkout of it or inside one."""
    for folder in (Path(__file__).resolve().parents[3], Path.cwd()):
        project = folder / "pyproject.toml"
        if project.is_file() and 'name = "cloud-analytics"' in project.read_text(encoding="utf-8"):
            return folder
    return None


def checkout_milestones(root: Path | None) -> list[Check]:
    """M5 and M6 of the checkout at `root`."""
    return [_tests_and_documents(root), _notebooks(root)]


def _tests_and_documents(root: Path | None) -> Check:
    statement = "Tests and documents are present, and the tests pass"
    consequence = (
        "nobody can see that the rules hold: `make test` runs the tests and leaves the record that is read here"
    )
    if root is None:
        return _no_checkout("M5", statement, consequence)
    modules = sorted((root / "tests").rglob("test_*.py"))
    tests = sum(_functions(path) for path in modules)
    documents = [path for name in _DOCUMENTS for path in _markdown(root / name)]
    dead = [f"{path.relative_to(root)}: {link}" for path in documents for link in _dead_links(path)]
    record = _record(root)
    present = bool(tests) and (root / "README.md").is_file() and any((root / "docs").glob("*.md"))
    judged = verdict(present and not dead and not (record or {"failed": 0})["failed"])
    if judged is Verdict.HOLDS and record is None:
        judged = Verdict.NOT_CHECKED
    ran = (
        "no record of a test run here"
        if record is None
        else f"pytest's record here: {record['collected']:,} tests collected, {record['failed']:,} failed last"
    )
    return Check(
        "M5",
        statement,
        judged,
        f"{tests:,} test functions in {len(modules):,} modules; {len(documents):,} documents, {len(dead):,} dead links;"
        f" {ran} (nothing is run by validate)",
        {"test_modules": len(modules), "test_functions": tests, "documents": len(documents), "dead_links": dead,
         "pytest_record": record},
        consequence,
    )  # fmt: skip


def _notebooks(root: Path | None) -> Check:
    statement = "Notebooks are present and executed"
    consequence = "the walk through the zones may be broken: `make test` executes the notebooks"
    if root is None:
        return _no_checkout("M6", statement, consequence)
    books = {
        path: json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "notebooks").glob("*.ipynb"))
    }
    codes = {path: [cell for cell in book["cells"] if cell["cell_type"] == "code"] for path, book in books.items()}
    errors = [
        path.name
        for path, cells in codes.items()
        if any(output.get("output_type") == "error" for cell in cells for output in cell["outputs"])
    ]
    executed = [path.name for path, cells in codes.items() if cells and all(cell["execution_count"] for cell in cells)]
    record = _record(root, "tests/notebooks/")
    tested = record is not None and record["collected"] > 0
    failed = tested and record is not None and record["failed"] > 0
    judged = verdict(bool(books) and not errors and not failed)
    if judged is Verdict.HOLDS and not tested and len(executed) < len(books):
        judged = Verdict.NOT_CHECKED
    ran = (
        f"pytest's record here of the tests that execute them: {record['collected']:,} collected, {record['failed']:,}"
        " failed last"
        if tested and record is not None
        else "no record of their execution here"
    )
    return Check(
        "M6",
        statement,
        judged,
        f"{len(books):,} notebooks, {len(executed):,} saved with outputs, {len(errors):,} of them with an error; {ran}",
        {"notebooks": [path.name for path in books], "with_outputs": executed, "with_errors": errors,
         "pytest_record": record},
        consequence,
    )  # fmt: skip


def _no_checkout(name: str, statement: str, consequence: str) -> Check:
    return Check(name, statement, Verdict.NOT_CHECKED, "this is an installed package, not a checkout", {}, consequence)


def _functions(path: Path) -> int:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in ast.walk(tree))


def _markdown(path: Path) -> list[Path]:
    return sorted(path.glob("*.md")) if path.is_dir() else [path] if path.is_file() else []


def _dead_links(path: Path) -> list[str]:
    links = _LINK.findall(path.read_text(encoding="utf-8"))
    return [link for link in links if not (path.parent / link).exists()]


def _record(root: Path, below: str = "") -> dict[str, Any] | None:
    """What pytest's cache says of the tests below a folder; None where pytest never ran in this checkout."""
    known = root / _CACHE / "nodeids"
    if not known.is_file():
        return None
    last_failed = root / _CACHE / "lastfailed"
    failed = json.loads(last_failed.read_text(encoding="utf-8")) if last_failed.is_file() else {}
    collected = json.loads(known.read_text(encoding="utf-8"))
    return {
        "collected": sum(name.startswith(below) for name in collected),
        "failed": sum(name.startswith(below) for name in failed),
    }
