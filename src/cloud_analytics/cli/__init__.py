"""The command line (contract 9): thin commands over the pipeline. An error is one line; exit status is 0, 1 or 2."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings

import click

from cloud_analytics import __version__
from cloud_analytics.cli import flow, insight, machine, outputs, period, quality, questions
from cloud_analytics.cli.manners import NAME, Group
from cloud_analytics.cli.signals import end_well_when_stopped, print_stop, stop_status
from cloud_analytics.errors import CloudAnalyticsError, UsageError, cause_line
from cloud_analytics.untrusted import printable


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    examples=(
        "cloud-analytics generate --out data/landing",
        "cloud-analytics run",
        "cloud-analytics --master 'local[4]' reconcile",
    ),
)
@click.version_option(__version__, prog_name=NAME)
@click.option(
    "--master", metavar="URL", help="Spark master: local[N], spark://HOST:PORT, yarn, k8s://… [default: conf]."
)
@click.option("--spark", "settings", metavar="KEY=VALUE", multiple=True, help="A spark.* setting; may be repeated.")
def cli(master: str | None, settings: tuple[str, ...]) -> None:
    """Cloud provider analytics: landing → bronze → silver → gold, with every input line accounted for.

    To see the help of a command: `cloud-analytics COMMAND --help`.
    """  # `Places.config` reads both options from click's context


for _module in (flow, questions, outputs, period, quality, insight, machine):
    for _name, _command in vars(_module).items():
        if isinstance(_command, click.Command) and not _name.startswith("_"):  # `_name`: a subcommand of a group
            cli.add_command(_command)


def main() -> None:
    """Run the command line. An error or a stop is printed as one line, without a traceback."""
    _mend_streams()
    end_well_when_stopped()
    # Warnings of libraries are for developers. PYTHONWARNINGS=error would end a run, also in Spark's Python workers.
    warnings.simplefilter("ignore")
    os.environ.pop("PYTHONWARNINGS", None)
    try:
        if sys.flags.optimize > 1:
            raise UsageError("PYTHONOPTIMIZE=2 leaves docstrings out, and PySpark does not start without: unset it")
        try:
            os.getcwd()
        except FileNotFoundError:
            raise UsageError("the current folder was deleted: go to another one") from None
        cli(prog_name=NAME, standalone_mode=False)
    except BaseException as error:
        sys.exit(_report(error))


def _mend_streams() -> None:
    """Make the standard streams usable that the caller closed, or that Python does not buffer."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # the next opened file would get the file descriptor of the closed stream
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
        elif mode == "w" and isinstance(getattr(stream, "buffer", None), io.RawIOBase):
            # PYTHONUNBUFFERED is set. On a full disk, Python then drops the rest of a text without an error.
            buffered = open(stream.fileno(), mode, 1, stream.encoding, stream.errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, buffered)


def _report(error: BaseException) -> int:
    """Print one line that says why the command ended, and return its exit status."""
    stopped = stop_status(error)
    if stopped is not None:
        print_stop()
        return stopped
    match error:
        case SystemExit():
            raise error
        case click.exceptions.Abort():
            return 130
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message())
            return 2
        case click.ClickException():
            message, status = " ".join(error.format_message().split()), 2  # click lists choices line by line
        case CloudAnalyticsError():
            message, status = str(error), error.exit_code
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            message, status = f"{error.filename or 'a file'} cannot be written ({error.strerror}): make room there", 2
        case MemoryError():
            message, status = "this takes too much memory: ask for less", 2
        case OSError(errno=errno.ENAMETOOLONG):
            message, status = f"{error.filename or 'a file'}: this name is too long", 2
        case _:
            message, status = f"{cause_line(error)} (--verbose shows the traceback)", 1
    click.echo(f"error: {printable(message)}", err=True)
    return status
