"""What every command has: help that teaches, JSON that a script can read, one line under --quiet; and completion.

(Its name comes before `test_commands`, which stops the node of their session in the end.)
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cloud_analytics.cli import cli
from cloud_analytics.cli.manners import Command, command, emit
from cloud_analytics.serving.tables import tables
from tests.conftest import REPOSITORY
from tests.docs.commands import check_call, commands_of, examples
from tests.docs.conftest import Session, call

COMMANDS = dict(commands_of(cli))
each_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)

# What a command needs to be called at all.
ARGUMENTS: dict[tuple[str, ...], str] = {
    ("query",): "top-services --org ORG",
    ("trace",): "--org ORG --date DATE --service SERVICE",
    ("generate",): "--out made --events 200 --days 2 --orgs 2",
    ("cassandra",): "status",
    ("completion",): "bash",
    ("export", "focus"): "--out focus.csv",
    ("sql",): "SELECT(1)",
}
# Months that are over: a lake of its own shows what these print (tests/test_periods.py).
OVER = {("period", "close"), ("period", "reopen")}


def _answer(session: Session, text: str) -> Result:
    """What a good call gives."""
    done = call(session.filled(text.split()))
    assert done.exit_code == 0, f"{done.output} {done.exception!r}"
    return done


def _documented_keys(command: str) -> set[str]:
    """What the table of docs/command_line.md says of a command."""
    for line in (REPOSITORY / "docs/command_line.md").read_text(encoding="utf-8").splitlines():
        cells = line.split("|")
        if len(cells) == 4 and any(f"`{name}`" in cells[1] for name in (command, f"cloud-analytics {command}")):
            return set(re.findall(r"`([^`]+)`", cells[2]))
    raise AssertionError(f"docs/command_line.md does not say which keys `{command}` has")


def _typed(path: tuple[str, ...]) -> str:
    return " ".join(("cloud-analytics", *path, ARGUMENTS.get(path, "")))


@each_command
def test_help_teaches(path: tuple[str, ...]) -> None:
    done = call(("cloud-analytics", *path, "--help"))
    assert done.exit_code == 0
    assert COMMANDS[path].help
    shown = done.output.partition("Examples:")[2].partition("Exit status:")
    for example in COMMANDS[path].examples:
        assert " ".join(("cloud-analytics", *path)) in example
        assert f"\n  {example}\n" in shown[0]
    assert COMMANDS[path].examples
    assert [line.split()[0] for line in shown[2].splitlines() if line[2:3].isdigit()] == ["0", "1", "2"]


def test_the_list_of_commands_shows_whole_sentences() -> None:
    shown = call(("cloud-analytics", "--help")).output.partition("Commands:")[2]
    assert "..." not in shown
    assert all(f"  {path[0]}" in shown for path in COMMANDS)
    assert len(examples()) > len(COMMANDS)


def test_forms_are_the_same_everywhere() -> None:
    formats = {path: command.formats for path, command in COMMANDS.items() if command.formats != ("json",)}
    assert formats == {
        ("query",): ("json", "csv"), ("sql",): ("json", "csv"), ("completion",): (), ("dashboard",): (),
    }  # fmt: skip
    for shown in COMMANDS.values():
        flags = {option for parameter in shown.params for option in parameter.opts}
        assert {"--format", "--quiet", "--verbose"} <= flags or not shown.formats


def _messages_of(*options: str) -> tuple[str, str]:
    """Standard output and error of a command that logs a step, a note and a warning."""

    @command("example")
    def example() -> None:
        log = logging.getLogger("cloud_analytics.example")
        for level, text in ((logging.DEBUG, "a step"), (logging.INFO, "a note"), (logging.WARNING, "take care")):
            log.log(level, text)
        emit("the line", show=lambda: click.echo("the table"))

    done = CliRunner().invoke(example, options)
    assert done.exit_code == 0
    return done.stdout, done.stderr


def test_a_warning_is_shown_always_a_note_unless_quiet_a_step_when_asked() -> None:
    assert _messages_of() == ("the table\n", "a note\nwarning: take care\n")
    assert _messages_of("--quiet") == ("the line\n", "warning: take care\n")
    shown = _messages_of("--verbose")[1].splitlines()
    assert [line.partition(" ")[2] for line in shown] == [
        "cloud_analytics.example: a step",
        "cloud_analytics.example: a note",
        "take care",
    ]


def test_verbose_shows_the_traceback_of_an_error(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    done = call(("cloud-analytics", "query", "genai", "--org", "o", "--lake", str(lake), "--verbose"))
    assert "Traceback" in done.stderr
    assert "Traceback" not in call(("cloud-analytics", "query", "genai", "--org", "o", "--lake", str(lake))).stderr


@pytest.mark.spark
@pytest.mark.cassandra
class TestOnALake:
    @pytest.mark.parametrize(
        "path", [path for path in COMMANDS if COMMANDS[path].formats and path not in OVER], ids=" ".join
    )
    def test_json_alone_is_on_standard_output(self, path: tuple[str, ...], session: Session) -> None:
        found = json.loads(_answer(session, f"{_typed(path)} --format json").stdout)
        assert set(found) - _documented_keys(" ".join(path)) == set()

    @pytest.mark.parametrize(
        ("path", "essence"),
        [
            (("run",), "Nothing new: every zone is as it was. Balanced: "),
            (("audit",), "Balanced: "),
            (("query",), "top-services of "),
            (("rules",), " rules; records of this lake break "),
            (("quarantine", "list"), " records in quarantine."),
            (("lateness",), " lines came late; none was lost."),
            (("trace",), "every figure is their sum."),
            (("cassandra",), "Cassandra answers on "),
            (("doctor",), "Nothing is lacking."),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_quiet_leaves_one_line(self, path: tuple[str, ...], essence: str, session: Session) -> None:
        done = _answer(session, f"{_typed(path)} --quiet")
        assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
        assert essence in done.stdout
        assert done.stdout.count("\n") == 1

    def test_the_shapes_of_the_contract(self, session: Session) -> None:
        status = json.loads(_answer(session, "cloud-analytics cassandra status --format json").stdout)
        assert (list(status), status["running"]) == (
            ["running", "host", "port", "pid", "user", "password_file"],
            True,
        )
        audit = json.loads(_answer(session, "cloud-analytics audit --format json").stdout)
        assert list(audit) == ["sources", "balanced"]
        assert list(audit["sources"]["usage_events"]) == ["landing", "silver", "quarantine", "balanced"]

    def test_what_was_done_is_data(self, session: Session) -> None:
        found = json.loads(_answer(session, "cloud-analytics serve --check --format json").stdout)
        assert [table["equal"] for table in found["tables"]] == [True] * len(tables())
        assert (found["changed"], found["served"]) == (False, {})
        asked = "cloud-analytics query genai --org ORG --explain --format json"
        assert "SELECT" in json.loads(_answer(session, asked).stdout)["cql"]


def test_an_error_leaves_standard_output_empty(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cloud_analytics", "query", "genai", "--org", "o", "--format", "json"]
    done = subprocess.run([*command, "--lake", str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_command_without_examples_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="examples"):
        Command("bare")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("cloud-analytics qua", {"quarantine"}),
        ("cloud-analytics quarantine ", {"list", "show", "replay"}),
        ("cloud-analytics query top", {"top-organisations", "top-services"}),
        ("cloud-analytics audit --form", {"--format"}),
        ("cloud-analytics serve --serving em", {"embedded"}),
    ],
)
def test_bash_completes(typed: str, offered: set[str], tmp_path: Path) -> None:
    program = tmp_path / "cloud-analytics"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from cloud_analytics.cli import main; main()" "$@"\n')
    program.chmod(0o755)
    script = f"""
eval "$(cloud-analytics completion bash)"
complete -p cloud-analytics >/dev/null || exit 1
COMP_WORDS=({typed}{" ''" if typed.endswith(" ") else ""}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_cloud_analytics_completion cloud-analytics
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str) -> None:
    check_call(("cloud-analytics", "completion", shell))
    assert "_CLOUD_ANALYTICS_COMPLETE" in call(("cloud-analytics", "completion", shell)).stdout
