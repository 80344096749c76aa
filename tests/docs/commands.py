"""The commands that documents print: where they stand, what they are, and whether they are well formed.

How a document must be written for that:

* A fenced block without a language, or `bash`, `sh`: each line is a command (`\\` goes on in the next line, `#` begins
  a comment). `console`: lines that begin with `$ ` are. Any other block names its language (`text`, `yaml`, …).
* `code` in running text is a command where it begins with a program's name and goes on.
* A heading, a paragraph, or a comment in the first line of a block that says "untried": what stands there was not run.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click

from cloud_analytics.cli import cli
from cloud_analytics.cli.manners import Command as CliCommand

COMMANDS, CONSOLE = {"", "bash", "sh"}, {"console"}
OTHERS = {"text", "yaml", "python", "sql", "cql", "json"}
PROGRAMS = {
    "cloud-analytics", "make", "python", "python3", "pytest", "pip", "jupyter", "spark-submit", "gcloud", "docker",
    "export", "source", "eval", "git", "printf", "cd", "duckdb", "ruff", "mypy", "sudo",
}  # fmt: skip
_SPAN = re.compile(r"`([^`]+)`")
_FENCE = re.compile(r"^\s*```\s*([\w-]*)\s*$")
_HEADING = re.compile(r"^(#+)\s+(.*)$")
_UNTRIED = re.compile(r"\buntried\b", re.IGNORECASE)


@dataclass(frozen=True)
class Command:
    """A command as it is printed, without its comment."""

    document: str
    line: int
    text: str
    untried: bool = False
    in_text: bool = False

    @property
    def is_name(self) -> bool:
        """Whether running text only names a command that cannot be called without more: `cloud-analytics query`."""
        named = {
            ("cloud-analytics", *path) for path, command in commands_of(cli) if any(p.required for p in command.params)
        }
        return self.in_text and self.words in named

    @property
    def words(self) -> tuple[str, ...]:
        """As a shell would split it."""
        return tuple(shlex.split(self.text, comments=True))

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.text}"


class BadDocument(Exception):
    """A document that is not written as the module's head says."""


def read(document: Path, name: str | None = None) -> list[Command]:
    """The commands of a document, in its order."""
    return list(extract(document.read_text(encoding="utf-8"), name or document.name))


def extract(text: str, document: str) -> Iterator[Command]:
    """The commands of a text; BadDocument names the line where it cannot be read."""
    headings: list[tuple[int, str]] = []  # those that the current line stands below
    block: list[str] | None = None
    paragraph: list[str] = []
    language, began = "", 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        fence, heading = _FENCE.match(line), _HEADING.match(line)
        below = any(_UNTRIED.search(title) for _, title in headings)
        if block is not None:
            if fence:
                yield from _block(block, language, document, began, below)
                block = None
            else:
                block.append(line)
            continue
        if fence or heading or not line.strip() or line.startswith("|"):
            yield from _spans(paragraph, document, number - len(paragraph), below)
            paragraph = []
        if fence:
            block, language, began = [], fence.group(1), number + 1
        elif heading:
            level = len(heading.group(1))
            headings = [*(found for found in headings if found[0] < level), (level, heading.group(2))]
        elif line.startswith("|"):
            yield from _spans([line], document, number, below)
        elif line.strip():
            paragraph.append(line)
    if block is not None:
        raise BadDocument(f"{document}:{began}: a fence without its end")


def _block(lines: list[str], language: str, document: str, began: int, untried: bool) -> Iterator[Command]:
    if language not in COMMANDS | CONSOLE | OTHERS:
        raise BadDocument(f"{document}:{began}: unknown language {language!r} of a block")
    if language in OTHERS:
        hidden = [line for line in lines if line.split(" ")[0] in {"cloud-analytics", "make", "python"}]
        if hidden:
            raise BadDocument(f"{document}:{began}: a command in a block of {language}: {hidden[0]}")
        return
    untried = untried or bool(lines and lines[0].startswith("#") and _UNTRIED.search(lines[0]))
    part = ""
    for number, line in enumerate(lines, start=began):
        if language in CONSOLE and not part:
            if not line.startswith("$ "):
                continue
            line = line[2:]
        part += line
        if part.endswith("\\"):
            part = part[:-1]
            continue
        try:
            text = _without_comment(part)
        except ValueError as error:
            raise BadDocument(f"{document}:{number}: {error}: {part}") from None
        if text:
            yield Command(document, number, text, untried)
        part = ""


def _spans(lines: list[str], document: str, began: int, untried: bool) -> Iterator[Command]:
    text = "\n".join(lines)
    for found in _SPAN.finditer(text):
        code = " ".join(found.group(1).split())
        program, _, rest = code.partition(" ")
        if program in PROGRAMS and rest:
            number = began + text[: found.start()].count("\n")
            yield Command(document, number, code, untried or bool(_UNTRIED.search(text)), True)


def _without_comment(line: str) -> str:
    """A line as typed, blanks made one, its comment cut off where the shell would."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, "#"
    return " ".join(lexer)


def commands_of(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], CliCommand]]:
    """Every command of the command line that does something, with the words that call it."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands_of(below, (*path, name))
    else:
        assert isinstance(command, CliCommand), f"{path} lacks the manners that all commands share"
        yield path, command


def examples() -> list[Command]:
    """What `--help` shows as examples is printed, too."""
    found = []
    commands: list[tuple[tuple[str, ...], Any]] = [((), cli), *commands_of(cli)]
    for path, command in commands:
        place = " ".join((*path, "--help"))
        found += [Command(place, 1, example) for example in command.examples]
    return found


def check_call(words: tuple[str, ...]) -> None:
    """click.UsageError where `cloud-analytics …` is no call that the command line takes; runs nothing."""
    with patch.object(CliCommand, "invoke", lambda _command, _context: None), redirect_stdout(io.StringIO()):
        cli.main(list(words[1:]), "cloud-analytics", standalone_mode=False)
