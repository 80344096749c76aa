"""A new user with nothing but the README: clone, two commands, the tour; what is printed is what the README shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.commands import read

README = REPOSITORY / "README.md"


def shown(readme: str) -> list[str]:
    """The lines of the block that shows what `make run` ends with."""
    return next(
        block for block in re.findall(r"^```text\n(.*?)^```", readme, re.M | re.S) if "Audit" in block
    ).splitlines()


def lacking(lines: list[str], output: str) -> list[str]:
    """The lines that the output does not hold, in this order; `…` stands for anything, and blanks do not count."""
    printed = [" ".join(re.sub(r"[│┃┡┩━┏┓└┘─]", " ", line).split()) for line in output.splitlines()]
    missing = []
    for line in lines:
        pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("…"))
        found = next((n for n, text in enumerate(printed) if re.fullmatch(pattern, text)), None)
        if found is None:
            missing.append(line)
        else:
            printed = printed[found + 1 :]
    return missing


def test_what_is_not_printed_is_told() -> None:
    assert lacking(["a  1", "…", "b …"], "x\n│ a │ 1 │\nanything\nb 2\n") == []
    assert lacking(["a 2", "b"], "a 1\nb\n") == ["a 2"]
    assert lacking(["b", "a"], "a\nb\n") == ["a"]
    assert len(shown(README.read_text(encoding="utf-8"))) > 5


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.cassandra
@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="needs a git checkout")
def test_the_readme_leads_from_a_clone_to_the_report(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True, timeout=120)
    own = ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "CLOUD_ANALYTICS_CONF", "CLOUD_ANALYTICS_LANDING")
    environment = {key: value for key, value in os.environ.items() if key not in own}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=clone, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    printed = run(f"make run PYTHON={sys.executable}")
    assert lacking(shown(README.read_text(encoding="utf-8")), printed) == []
    org = re.findall(r"--org (\S+)", printed)[0]
    assert "Nothing new" in run("make run")
    tour = [command.text for command in read(README) if not command.in_text and command.words[0] != "make"]
    assert len(tour) > 5
    for command in tour:
        text = re.sub(r"\bORG\b", org, command).replace("jupyter lab notebooks", "jupyter lab --version")
        run(f"source .venv/bin/activate && {text}")
    assert (clone / "report.html").stat().st_size > 100_000
    run("make clean")
    assert not (clone / ".venv").exists()
