"""Common behaviour of all commands: examples in the help, --format, --quiet and --verbose, results and messages.

Standard output holds only the result, and messages go to standard error, so that `--format json` can be piped.
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

from cloud_analytics.insight.plain import plain
from cloud_analytics.runtime.temporary import temporary_folder
from cloud_analytics.untrusted import PrintableConsole, printable

logger = logging.getLogger(__name__)

_SILENT = logging.NullHandler()  # without a handler, the first message of a library makes logging print every message
NAME = "cloud-analytics"
_USAGE = "wrong usage or configuration; one line says what to do"
_MESSAGES = "cloud_analytics.messages"  # key of the MessageHandler in the context of a command


@dataclass(frozen=True)
class Manner:
    """The output options of a command: `output` is `table` (for people) or a format for scripts."""

    output: str = "table"
    quiet: bool = False
    verbose: bool = False


class _Documented(click.Command):
    """A command or group whose help ends with examples and the meaning of the exit status."""

    def __init__(self, *args: Any, examples: Sequence[str], fails: str, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.examples, self.fails = tuple(examples), fails

    def get_short_help_str(self, limit: int = 0) -> str:
        """The whole first sentence; click would cut it after 45 characters."""
        return super().get_short_help_str(1_000)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit status below the options. The examples are not wrapped."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        with formatter.section("Exit status"):
            formatter.write_dl([("0", "done"), ("1", self.fails), ("2", _USAGE)])


class Command(_Documented):
    """A command. If it has `formats`, it also has the options --format, --quiet and --verbose."""

    def __init__(
        self,
        *args: Any,
        fails: str = "what was asked could not be done; one line says why",
        formats: Sequence[str] = ("json",),
        **rest: Any,
    ) -> None:
        super().__init__(*args, fails=fails, **rest)
        self.formats = tuple(formats)
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
        """Run the command. Its function does not get the three options, because `emit` and `progress` apply them."""
        told = Manner(*(ctx.params.pop(name, usual) for name, usual in vars(Manner()).items()))
        if told.quiet and told.verbose:
            raise click.UsageError("--quiet and --verbose ask for opposite things: give one of them")
        with _prepared(told) as ctx.meta[_MESSAGES]:
            try:
                return super().invoke(ctx)
            except Exception:
                logger.debug("%s failed", ctx.info_name, exc_info=True)
                raise


class Group(_Documented, click.Group):
    """A group of commands under one name."""

    command_class = Command

    def __init__(self, *args: Any, **rest: Any) -> None:
        fails = "the data broke a law or a threshold that was asked for, or the work failed"
        super().__init__(*args, fails=fails, **rest)


def command(*examples: str, **options: Any) -> Callable[[Any], Command]:
    """A decorator that makes a function a command with these examples in its help; `options` are those of Command."""
    return click.command(None, cls=Command, examples=examples, **options)


def manner() -> Manner:
    """The output options of the running command."""
    return _handler().told


def emit(
    line: str,
    data: object = None,
    show: Callable[[], None] | None = None,
    failed: bool = False,
    **scripts: Callable[[], str],
) -> None:
    """Print the result of a command in the format of the option --format.

    For people, `show` prints the result; with --quiet, or without `show`, `line` is printed instead. Scripts get `data`
    as JSON, or the text from `scripts` for their format; --quiet leaves nothing out of these. If `failed`, the command
    ends here with exit status 1.
    """
    asked = manner()
    if asked.output != "table":
        text = scripts[asked.output]() if asked.output in scripts else as_json(data)
        if sys.stdout.isatty():
            text = printable(text, keep="\n")
        click.echo(text, nl=not text.endswith("\n"), color=True)  # without color=True click strips escape sequences
    elif show is None or asked.quiet:
        say(line)
    else:
        show()
    if failed:
        sys.exit(1)


def say(line: str = "", bold: bool = False) -> None:
    """Print one or more lines for people on standard output. Commands print all text except tables by this function."""
    shown = printable(line, keep="\n")
    click.echo(click.style(shown, bold=True) if bold else shown, nl=not line.endswith("\n"))


def as_json(data: Any) -> str:
    """One line of JSON. Decimals become strings that keep every digit, dates become ISO strings."""
    return json.dumps(plain(data), ensure_ascii=False)


class MessageHandler(logging.Handler):
    """Shows the package's log on standard error: warnings always, notes (INFO) unless --quiet.

    On a terminal, while `progress` is active, each step (DEBUG) replaces the previous one. With --verbose, each step is
    a line of its own.
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


def _handler() -> MessageHandler:
    """The handler of the running command."""
    handler = click.get_current_context().meta[_MESSAGES]
    assert isinstance(handler, MessageHandler)
    return handler


@contextmanager
def progress(first: str) -> Iterator[None]:
    """Show the current step of the running command on a terminal while the block runs; `first` is the first step."""
    handler = _handler()
    if handler.told.quiet or handler.told.verbose or not handler.console.is_terminal:
        yield
        return
    with handler.console.status(first) as handler.status:
        try:
            yield
        finally:
            handler.status = None


@contextmanager
def _prepared(told: Manner) -> Iterator[MessageHandler]:
    """Show messages as `told` demands, and let all libraries put temporary files into this process's private folder."""
    package, handler = logging.getLogger("cloud_analytics"), MessageHandler(told)
    level, folder, private = package.level, tempfile.tempdir, str(temporary_folder())
    logging.getLogger().addHandler(_SILENT)  # stays: threads cut off by a dead JVM log after the command
    package.addHandler(handler)
    package.setLevel(logging.DEBUG)
    tempfile.tempdir = private
    try:
        yield handler
    finally:
        tempfile.tempdir = folder
        package.removeHandler(handler)
        package.setLevel(level)
