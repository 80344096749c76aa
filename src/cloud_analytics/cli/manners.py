"""What all commands have in common: help that teaches, --quiet and --format, and where results and messages go.

Standard output holds the result and nothing else; messages go to standard error. So `--format json` can be piped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.markup import escape

from cloud_analytics.untrusted import PrintableConsole, printable

NAME = "cloud-analytics"
FAILS = "what was asked could not be done; one line says why"
_USAGE = "wrong usage or configuration; one line says what to do"
_SEEN = "cloud_analytics.manner"
_WHOLE = 1_000  # a list of commands shows the first sentence of each, not its first 45 characters


@dataclass(frozen=True)
class Manner:
    """How a command was told to speak: `output` is `table` (for people) or a form for scripts."""

    output: str = "table"
    quiet: bool = False


class Command(click.Command):
    """A command with examples and exit status in its help; one that has `formats` takes --format and --quiet, too."""

    def __init__(
        self, *args: Any, examples: Sequence[str], fails: str = FAILS, formats: Sequence[str] = ("json",), **rest: Any
    ) -> None:
        super().__init__(*args, **rest)
        self.examples, self.fails, self.formats = tuple(examples), fails, tuple(formats)
        if formats:
            scripts = " or ".join(name.upper() for name in formats)
            self.params += [
                click.Option(
                    ["--format", "output"],
                    type=click.Choice(["table", *formats]),
                    default="table",
                    help=f"A table for people, or {scripts}, which keep every digit."
                    if len(formats) > 1
                    else f"Text for people, or {scripts}.",
                ),
                click.Option(["--quiet"], is_flag=True, help="Only the essential line of the result, and errors."),
            ]

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; its function does not see how it was told to speak: `emit` and `progress` do."""
        ctx.meta[_SEEN] = Manner(ctx.params.pop("output", "table"), ctx.params.pop("quiet", False))
        return super().invoke(ctx)

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence."""
        return super().get_short_help_str(_WHOLE)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples and exit status, below the options."""
        teach(formatter, self.examples, self.fails)


class Group(click.Group):
    """Commands under one name, with examples in its help."""

    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[str], **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.examples = tuple(examples)

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence."""
        return super().get_short_help_str(_WHOLE)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples and exit status, below the commands."""
        teach(formatter, self.examples, "the data broke a law or a threshold that was asked for, or the work failed")


def teach(formatter: click.HelpFormatter, examples: Sequence[str], fails: str) -> None:
    """Write examples, as they are typed, and what the exit status means."""
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':{formatter.current_indent}}{example}\n")
    with formatter.section("Exit status"):
        formatter.write_dl([("0", "done"), ("1", fails), ("2", _USAGE)])


def command(
    *examples: str, fails: str = FAILS, formats: Sequence[str] = ("json",), name: str | None = None
) -> Callable[[Callable[..., Any]], Command]:
    """A decorator: this function is a command, and these calls of it are examples."""
    return click.command(name, cls=Command, examples=examples, fails=fails, formats=formats)


def manner() -> Manner:
    """How the running command was told to speak."""
    context = click.get_current_context(silent=True)
    found = context.meta.get(_SEEN) if context is not None else None
    return found if isinstance(found, Manner) else Manner()


def emit(show: Callable[[], None], line: str, **scripts: Callable[[], str]) -> None:
    """The result of a command, in the form that was asked for.

    `show` prints it for people, `line` is the essence that --quiet leaves of that; `scripts` make the text of each
    other form. A form for scripts is whole under --quiet, too.
    """
    asked = manner()
    if asked.output != "table":
        text = scripts[asked.output]()
        if sys.stdout.isatty():
            text = printable(text, keep="\n")
        click.echo(text, nl=not text.endswith("\n"), color=True)  # without color=True it strips escape sequences
    elif asked.quiet:
        click.echo(printable(line, keep="\n"))
    else:
        show()


def as_json(data: Any) -> str:
    """One line of JSON; decimals are texts that keep every digit, dates are ISO texts."""
    from cloud_analytics.insight.plain import plain

    return json.dumps(plain(data), ensure_ascii=False)


@contextmanager
def progress(first: str) -> Iterator[Callable[[str], None]]:
    """A function for messages, to standard error: nothing under --quiet.

    Lines that begin with `done:`, `note:` or `warning:` stay; others replace each other, on a terminal alone.
    """
    console = PrintableConsole(stderr=True)
    quiet = manner().quiet
    status = console.status(first) if console.is_terminal and not quiet else None

    def say(line: str) -> None:
        kind, _, text = line.partition(": ")
        if quiet:
            return
        if kind == "warning":
            console.print(line, highlight=False, markup=False, soft_wrap=True, style="yellow")
        elif kind in ("done", "note"):
            console.print(text, highlight=False, markup=False, soft_wrap=True)
        elif status is not None:
            status.update(escape(printable(line)))

    if status is None:
        yield say
    else:
        with status:
            yield say
