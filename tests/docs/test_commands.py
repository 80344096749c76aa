"""Every command that a document or `--help` prints is well formed and run by a test: here, or by one that is named."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence

import click
import pytest

from tests.conftest import REPOSITORY
from tests.docs.commands import Command, check_call, examples, read
from tests.docs.conftest import PLACEHOLDERS, Session, call

_CONTRACT = REPOSITORY / "docs" / "contract.md"  # gives the grammar of the commands, not calls of them
DOCUMENTS = [
    *(REPOSITORY / name for name in ("README.md", "README.es.md")),
    *sorted({*(REPOSITORY / "docs").glob("*.md")} - {_CONTRACT}),
]

# Commands that take long, do not end by themselves, or need what this session has not got → the test that runs them.
_CLONE = "tests/docs/test_fresh_clone.py::test_the_readme_leads_from_a_clone_to_the_report"
_LONG = "tests/docs/test_long_commands.py::test_it_runs_in_a_small_size"
RUN_ELSEWHERE = {
    r"make (setup|run)|source \.venv/bin/activate": _CLONE,
    r"make (test|test-all)|pytest .*": "tests/docs/test_commands.py::test_make_test_collects_this_test",
    r"make soak (KILLS=\d+|SOAK=--follow)|python -m tests\.crash\.soak .*": _LONG,
    r"python -m benchmarks(\.yardstick|\.staged)? .*": _LONG,
    r"python benchmarks/(serving_load|query_latency|dashboard)\.py.*": _LONG,
    r"python benchmarks/detection\.py .*": "tests/anomaly/test_detection.py::test_the_unit_price_finds_price_spikes",
    r"jupyter lab notebooks": "tests/notebooks/test_notebooks.py::test_runs_without_noise_and_shows_tables_and_a_plot",
    r"cloud-analytics export focus .*": "tests/reading/test_focus.py::test_the_command_prints_what_it_wrote",
    r"make focus-check": "tests/reading/test_focus.py"
    "::test_the_official_validator_finds_nothing_but_its_false_positive",
    r"cloud-analytics period (close|reopen) 2025-07": "tests/test_periods.py"
    "::test_what_arrives_for_a_closed_month_is_restated_and_nothing_of_it_is_replaced",
    r"python -m demo": "tests/demo/test_demo.py::test_it_is_filmed_with_its_colours_and_without_the_folders_path",
    r"python -m demo slides": "tests/demo/test_demo.py::test_the_slides_page_is_that_of_the_text",
    r"make notebooks": "tests/notebooks/test_notebooks.py::test_runs_without_noise_and_shows_tables_and_a_plot",
    r"(make|cloud-analytics) dashboard.*": "tests/dashboard/test_pages.py"
    "::test_a_file_that_lands_changes_a_number_in_a_browser_and_names_stay_text",
    r"cloud-analytics stream --follow.*": "tests/test_follow.py::test_a_signal_ends_it_cleanly",
    r"cloud-analytics --master spark://.*": "tests/cluster/test_standalone.py"
    "::test_the_lake_of_a_cluster_equals_that_of_local_mode",
    r"pip wheel .*|printf .* > main\.py|spark-submit --master .*": "tests/cluster/test_standalone.py"
    "::test_the_wheel_runs_through_spark_submit_outside_the_repository",
    r'eval "\$\(cloud-analytics completion bash\)"': "tests/docs/test_cli_manners.py::test_bash_completes",
}

# Nobody ran these against the platform itself; the documents say so beside them. (AstraDB's path: a double of it does.)
UNTRIED = {
    "export ASTRA_DB_SECURE_BUNDLE=~/secure-connect-analytics.zip",
    "export ASTRA_DB_APPLICATION_TOKEN=AstraCS:…",
    "export ASTRA_DB_KEYSPACE=cloud_analytics",
    "cloud-analytics serve --serving astra --dry-run",
    "cloud-analytics serve --serving astra",
    "cloud-analytics query daily-costs --org ORG --serving astra",
    "sudo python3 -m pip install 'pydantic>=2.7,<3' PyYAML click rich 'pandas<3' pyarrow cassandra-driver duckdb"
    " fsspec",
    "spark-submit --deploy-mode client --py-files s3://…/cloud_analytics-0.1.0-py3-none-any.whl s3://…/main.py"
    " run --serving none --landing s3://… --lake s3://…",
    "gcloud dataproc jobs submit pyspark main.py --py-files=cloud_analytics-….whl"
    " -- run --serving none --landing gs://… --lake gs://…",
}

# The session's folder has landing data: what made it is what the session began with.
BEGAN_WITH = {"cloud-analytics generate --out data/landing", "cloud-analytics cassandra start"}
# Exit status 1 is an answer, where data may be as they are.
MAY_SAY_NO = {"cloud-analytics validate --strict --format json"}


def _printed() -> list[Command]:
    found = [command for document in DOCUMENTS for command in read(document)]
    return [command for command in [*found, *examples()] if not command.is_name]


def _elsewhere(command: Command) -> list[str]:
    return [test for pattern, test in RUN_ELSEWHERE.items() if re.fullmatch(pattern, command.text)]


PRINTED = _printed()
TEXTS = {command.text: command for command in reversed(PRINTED)}  # the first place counts
# The node is stopped, and cleared, when everything else was done.
_LAST = ("cassandra stop", "cassandra reset")
HERE = sorted(
    (command for command in TEXTS.values() if not command.untried and not _elsewhere(command)),
    key=lambda command: sum((n + 1) * command.text.endswith(end) for n, end in enumerate(_LAST)),
)


def check_form(command: Command) -> None:
    """By the shell, and where it is ours by the command line or the Makefile; fails where nobody could type it."""
    subprocess.run(["bash", "-n", "-c", command.text], check=True, capture_output=True, timeout=60)
    words = command.words
    if words[0] == "cloud-analytics":
        check_call(words)
    elif words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], check=True, cwd=REPOSITORY, capture_output=True, timeout=60)
    if not command.untried:
        unknown = [word for word in words if word.isupper() and "=" not in word and word not in PLACEHOLDERS]
        assert not unknown, f"{command}: no placeholder that is known"
        assert "…" not in command.text, f"{command}: cut short, so that nobody can run it"


def unrun(commands: Iterable[Command]) -> list[str]:
    """The commands that no test runs: ours and Python's run below, where no other test is named."""
    return [
        str(command)
        for command in commands
        if not (command.untried or _elsewhere(command) or command.words[0] in {"cloud-analytics", "python"})
    ]


@pytest.mark.parametrize("command", TEXTS.values(), ids=str)
def test_it_is_well_formed(command: Command) -> None:
    check_form(command)


def _programs() -> dict[tuple[str, ...], set[str]]:
    """Each Python program → the options that documents give it."""
    found: dict[tuple[str, ...], set[str]] = {}
    for command in TEXTS.values():
        words = command.words
        if words[0] == "python" and command not in HERE:
            program = words[1:3] if words[1] == "-m" else words[1:2]
            found.setdefault(program, set()).update(word for word in words[3:] if word.startswith("--"))
    return found


@pytest.mark.parametrize("program", _programs(), ids=" ".join)
def test_a_program_knows_the_options_that_are_printed(program: tuple[str, ...]) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"}
    done = subprocess.run(
        [sys.executable, *program, "--help"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert [option for option in _programs()[program] if option not in done.stdout] == []


def test_each_is_run_here_or_by_one_other_test() -> None:
    assert unrun(PRINTED) == [], "no test runs these: name one in RUN_ELSEWHERE, or say `untried` beside them"
    assert [str(command) for command in TEXTS.values() if len(_elsewhere(command)) > 1] == []


def test_the_named_tests_exist() -> None:
    for test in RUN_ELSEWHERE.values():
        path, _, name = test.partition("::")
        tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{test} is not there"


def test_what_was_not_tried_is_marked_and_listed() -> None:
    assert {command.text for command in PRINTED if command.untried} == UNTRIED
    assert [str(command) for command in PRINTED if command.text in UNTRIED and not command.untried] == []


def test_no_entry_is_left_over() -> None:
    unused = [pattern for pattern in RUN_ELSEWHERE if not any(re.fullmatch(pattern, text) for text in TEXTS)]
    assert unused + [text for text in [*BEGAN_WITH, *MAY_SAY_NO] if text not in TEXTS] == []


@pytest.mark.parametrize("text", ["docker run analytics", "duckdb lake.db", "make soak", "jupyter notebook"])
def test_a_command_that_no_test_runs_is_told(text: str) -> None:
    assert unrun([Command("x.md", 1, text)]) == [f"x.md:1: {text}"]
    assert unrun([Command("x.md", 1, text, untried=True)]) == []


@pytest.mark.parametrize(
    "text",
    ["cloud-analytics moon", "cloud-analytics audit --nonsense", "make nonsense", "cloud-analytics run --lake (",
     "cloud-analytics audit --lake HERE", "cloud-analytics run --lake /data/…"],
)  # fmt: skip
def test_a_command_that_nobody_can_type_is_told(text: str) -> None:
    with pytest.raises((AssertionError, click.UsageError, subprocess.CalledProcessError)):
        check_form(Command("x.md", 1, text))


def test_make_test_collects_this_test() -> None:
    """`make test` cannot run inside itself: what it would call is looked at, and pytest finds this very test so."""
    for target, selected in (("test", ["-m", "not slow"]), ("test-all", [])):
        shown = subprocess.run(
            ["make", "-n", target], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        calls = [line.split("/bin/", 1)[1] for line in shown.splitlines() if "/bin/" in line][-5:]
        assert calls[:4] == ["ruff check .", "ruff format --check --quiet .", "lint-imports", "mypy"]
        assert calls[4].replace('"', "'") == " ".join(
            ["python -m pytest", *(["-m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder"] if selected else [])]
        )
        collect = [sys.executable, "-m", "pytest", *selected, "--collect-only", "-p", "no:cacheprovider", __file__]
        done = subprocess.run(collect, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
        assert "test_make_test_collects_this_test" in done.stdout, done.stdout + done.stderr


@pytest.mark.spark
@pytest.mark.cassandra
@pytest.mark.parametrize("command", HERE, ids=str)
def test_it_runs_as_printed(command: Command, session: Session) -> None:
    if command.text in BEGAN_WITH:
        return  # the fixture fails where one of them does
    words = session.filled(command.words)
    if words[0] == "cloud-analytics":
        done = call(words)
        allowed = {0, 1} if command.text in MAY_SAY_NO else {0}
        assert done.exit_code in allowed, f"{command}: {done.output} {done.exception!r}"
        assert done.stdout.strip()
    else:
        _run_program(words[1:], session)


def _run_program(arguments: Sequence[str], session: Session) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=session.folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_both_readmes_have_the_same_parts_and_commands() -> None:
    english, spanish = ((REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "README.es.md"))
    # Headings, fences, rows of tables with their names, bullets, and what is linked: all but the words.
    parts = re.compile(r"^(#+ |```\w*$|\|(?= `)[^|]*|\* )", re.M)
    assert parts.findall(english) == parts.findall(spanish)
    links = re.compile(r"\]\((docs[^)]*)\)")
    assert sorted(links.findall(english)) == sorted(links.findall(spanish))
    assert [c.text for c in read(REPOSITORY / "README.md")] == [c.text for c in read(REPOSITORY / "README.es.md")]
