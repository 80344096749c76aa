"""CONTRIBUTING.md, followed step by step in a copy of the project: what it adds works, and needs nothing more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

_BLOCK = re.compile(r'^```\w+ title="(?P<path>[^"]+)"(?: after="(?P<after>[^"]+)")?\n(?P<text>.*?)^```$', re.M | re.S)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which every recipe was followed."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in ("src", "conf", "tests", "docs"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.mp4"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, folder / name)
    for step in _BLOCK.finditer((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        path = folder / step["path"]
        if step["after"] is None:
            assert not path.exists(), step["path"]
            path.write_text(step["text"], encoding="utf-8")
            continue
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (place,) = (number for number, line in enumerate(lines, 1) if line.rstrip().endswith(step["after"]))
        lines.insert(place, step["text"])
        path.write_text("".join(lines), encoding="utf-8")
    return folder


def run(copy: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_the_question_is_known_everywhere(copy: Path) -> None:
    assert "CREATE TABLE IF NOT EXISTS active_users_by_org" in run(copy, "-m", "cloud_analytics", "serve", "--schema")
    explained = run(copy, "-m", "cloud_analytics", "query", "users", "--org", "o", "--explain")
    assert "FROM cloud_analytics.active_users_by_org" in explained
    run(copy, "-m", "cloud_analytics.insight.dictionary", "docs/data_dictionary.md")
    dictionary = (copy / "docs/data_dictionary.md").read_text(encoding="utf-8")
    assert "active_users_by_org" in dictionary
    assert "silver/contracts" in dictionary


@pytest.mark.spark
def test_what_the_recipes_add_passes_its_tests(copy: Path) -> None:
    steps = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tests = [step["path"] for step in _BLOCK.finditer(steps) if step["path"].startswith("tests/")]
    assert len(tests) == 3
    shown = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "tests/tables")
    assert "failed" not in shown
