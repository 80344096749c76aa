"""What all commands have in common: help that teaches, --quiet and --format, and where results and messages go.

Standard output holds the result and nothing else; messages go to standard error. So `--format json` can be piped.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.markup import escape
from rich.status import Status

from cloud_analytics.runtime.temporary import temporary_folder
from cloud_analytics.untrusted import PrintableConsole, printable

logger = logging.getLogger(__name__)

NAME = "cloud-analytics"
FAILS = "what was asked could not be done; one line says why"
_USAGE = "wrong usage or configuration; one line says what to do"
_SEEN = "cloud_analytics.manner"
_MESSAGES = "cloud_analytics.messages"
_WHOLE = 1_000  # a list of commands shows the first sentence of each, not its first 45 characters


@dataclass(frozen=True)
class Manner:
    """How a command was told to speak: `output` is `table` (for people) or a form for scripts."""

    output: str = "table"
    quiet: bool = False
    verbose: bool = False


class Command(click.Command):
    """A command with examples and exit status in its help.

    One that has `formats` takes --format, --quiet and --verbose, too.
    """

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
                click.Option(["--quiet"], is_flag=True, help="Only the result's essential line, warnings and errors."),
                click.Option(["--verbose"], is_flag=True, help="Each step with its time, Spark's log, and tracebacks."),
            ]

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; its function does not see how it was told to speak: `emit` and `progress` do."""
        told = Manner(*(ctx.params.pop(name, usual) for name, usual in vars(Manner()).items()))
        if told.quiet and told.verbose:
            raise click.UsageError("--quiet and --verbose ask for opposite things: give one of them")
        ctx.meta[_SEEN] = told
        with _messages(told) as handler, _temporary_files():
            ctx.meta[_MESSAGES] = handler
            try:
                return super().invoke(ctx)
            except Exception:
                logger.debug("%s failed", ctx.info_name, exc_info=True)
                raise

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


class MessageHandler(logging.Handler):
    """The package's log on standard error: warnings always, notes (INFO) unless --quiet.

    Steps (DEBUG) replace each other on a terminal, while `progress` shows them; under --verbose each is a line.
    """

    def __init__(self, told: Manner) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
        self.told, self.console = told, PrintableConsole(stderr=True)
        self.status: Status | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Show one message."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self._print(f"warning: {text}", "yellow")
        elif self.told.verbose:
            self._print(self.format(record))
        elif record.levelno >= logging.INFO and not self.told.quiet:
            self._print(text)
        elif self.status is not None:
            self.status.update(escape(printable(text)))

    def _print(self, line: str, style: str | None = None) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True, style=style)

    @contextmanager
    def steps(self, first: str) -> Iterator[None]:
        """Show the step that is being done, on a terminal."""
        if self.told.quiet or self.told.verbose or not self.console.is_terminal:
            yield
            return
        with self.console.status(first) as self.status:
            try:
                yield
            finally:
                self.status = None


@contextmanager
def _messages(told: Manner) -> Iterator[MessageHandler]:
    package, handler = logging.getLogger("cloud_analytics"), MessageHandler(told)
    level = package.level
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)  # else a library's first message gives the root a handler that prints everything
    package.addHandler(handler)
    package.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        package.removeHandler(handler)
        root.removeHandler(silent)
        package.setLevel(level)


@contextmanager
def _temporary_files() -> Iterator[None]:
    """Whatever libraries put aside lies in the private folder of this process."""
    before, tempfile.tempdir = tempfile.tempdir, str(temporary_folder())
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def progress(first: str) -> Iterator[None]:
    """Show what is being done, beginning with `first`, while the block runs."""
    handler = click.get_current_context().meta[_MESSAGES]
    assert isinstance(handler, MessageHandler)
    with handler.steps(first):
        yield
