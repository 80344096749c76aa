"""Names that whoever sends data has chosen: harmless on a screen and in a spreadsheet, unaltered everywhere else."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cloud_analytics import cli as commands
from cloud_analytics.cli import cli
from cloud_analytics.cli.quality import _print_records
from cloud_analytics.cli.questions import _print_rows
from cloud_analytics.errors import UsageError
from cloud_analytics.serving import queries, target
from cloud_analytics.serving.queries import Answer, Request
from cloud_analytics.untrusted import PrintableConsole, csv_text, json_value, printable, spreadsheet_text

# Clears the screen, renames the window, rings; C1's CSI; turns the order of letters round; ends the line.
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202eb\r\n"
SHOWN = r"a\u001b[2J\u001b]0;owned\u0007\u009b31m\u202eb\r\n"


def test_what_controls_a_terminal_is_shown_as_an_escape() -> None:
    assert printable(HOSTILE) == SHOWN
    assert printable(HOSTILE, keep="\n") == SHOWN[:-2] + "\n"
    assert json.loads(f'"{printable(HOSTILE)}"') == HOSTILE
    assert printable("Größe 東京 😀 שלום") == "Größe 東京 😀 שלום"
    assert printable("\x7f\x00\ud800\u2028\U000e0001") == r"\u007f\u0000\ud800\u2028\udb40\udc01"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2", "@SUM(A1)", "＝1+1"])
def test_a_formula_becomes_a_text(text: str) -> None:
    assert spreadsheet_text(text) == f"'{text}"


@pytest.mark.parametrize("before", ["\t", "\r", "\n", "a;", "a,", "a\t", 'a;"', "'=1;"])
def test_a_formula_behind_a_separator_becomes_a_text(before: str) -> None:
    """A spreadsheet that splits lines at semicolons or tabs makes a cell of what follows."""
    assert spreadsheet_text(f"{before}=cmd|'/C calc'!A0") == f"{before}'=cmd|'/C calc'!A0"


@pytest.mark.parametrize("text", ["", "org_a", "1-2", "a=b", " x", "'=1", "a;b=c, d-e", '{"a": "-1"}'])
def test_other_texts_stay(text: str) -> None:
    assert spreadsheet_text(text) == text


def test_tables_show_escapes_and_keep_their_shape() -> None:
    shown = PrintableConsole(file=io.StringIO(), force_terminal=True, width=80, highlight=False)
    table = Table(title=f"[bold]{escape(HOSTILE)}[/bold]")
    table.add_column("name")
    table.add_row(escape(HOSTILE))
    table.add_row("b")
    shown.print(table)
    shown.print(HOSTILE, markup=False)
    shown.print(Text(HOSTILE))
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1m" in text or "\x1b[1;3m" in text  # the console's own styles are styles
    for sequence in ("\x1b[2J", "\x1b]0", "\x07", "\x9b", "\u202e", "\r"):
        assert sequence not in text
    assert r"a\u001b[2J\u001b]0;owned\u0007\u009b31m\u202eb\r" in text
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert len({len(line) for line in rows}) == 1


def test_nobody_prints_to_another_console() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(commands.__file__).parent.glob("*.py")}
    assert [name for name, text in sources.items() if "import Console" in text] == []
    assert [name for name, text in sources.items() if "click.echo" in text] == ["__init__.py", "manners.py"]


def test_a_line_for_people_shows_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    _print_records(
        [
            {
                "source": "users",
                "date": HOSTILE,
                "source_file": HOSTILE,
                "errors": [{"id": HOSTILE, "message": HOSTILE}],
                "raw": HOSTILE,
            }
        ],
        limit=2,
    )
    written = capsys.readouterr().out
    assert written.count(SHOWN.removesuffix(r"\r\n")) == 5
    assert printable(written, keep="\n") == written


def test_headings_of_a_question_in_sql_show_escapes_and_the_table_keeps_its_shape(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever sends a file names its columns, and whoever asks may copy a name from there."""
    _print_rows([f"{HOSTILE}[red]", "n"], [("x", 1)])
    written = capsys.readouterr().out
    assert SHOWN + "[red]" in written
    assert printable(written, keep="\n") == written
    assert len({len(line) for line in written.splitlines()}) == 1


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """`query` gets a row of such names, whatever it asks, from a store that is not there."""

    @contextmanager
    def no_store(*_: Any, **__: Any) -> Iterator[None]:
        yield None

    def answer(_session: None, asked: Request) -> Answer:
        names = {"org_id": HOSTILE, "service": "=HYPERLINK(1)", "top_resource_id": HOSTILE}
        values = {"usage_date": date(2025, 1, 1), "actual_cost_usd": Decimal("-5.25"), "zscore_events": 0}
        return Answer(asked, [dict.fromkeys(asked.table.columns) | names | values], ())

    monkeypatch.setattr(target, "open_session", no_store)
    monkeypatch.setattr(queries, "answer", answer)


def ask(*words: str) -> Result:
    done = CliRunner().invoke(cli, ["query", "anomalies", "--org", HOSTILE, *words])
    assert done.exit_code == 0, done.output
    return done


def test_csv_for_a_spreadsheet_defuses_texts_and_lists_but_no_number() -> None:
    row = [-5, Decimal("-0.5"), None, "=1", ["+1"], 'a"b\r', "x,y"]

    def text(value: object) -> str:
        return "" if value is None else ", ".join(value) if isinstance(value, list) else str(value)

    plain = csv_text("abcdefg", [row], text)
    assert plain == 'a,b,c,d,e,f,g\n-5,-0.5,,=1,+1,"a""b\r","x,y"\n'
    assert csv_text("abcdefg", [row], text, spreadsheet=True) == plain.replace("=1,+1", "'=1,'+1")
    assert csv_text("a", [[None]], text) == 'a\n""\n'


@pytest.mark.usefixtures("answered")
class TestQuery:
    def test_a_table_shows_escapes(self) -> None:
        for words in ((), ("--quiet",)):
            shown = ask(*words).stdout
            assert SHOWN.removesuffix(r"\r\n") in shown
            assert printable(shown, keep="\n") == shown

    def test_csv_and_json_keep_every_byte(self) -> None:
        (row,) = csv.DictReader(io.StringIO(ask("--format", "csv").stdout_bytes.decode(), newline=""))
        assert row["org_id"] == HOSTILE
        assert (row["service"], row["actual_cost_usd"]) == ("=HYPERLINK(1)", "-5.25")
        (record,) = json.loads(ask("--format", "json").stdout)["rows"]
        assert record["org_id"] == HOSTILE

    def test_a_spreadsheet_gets_no_formula_and_its_numbers(self) -> None:
        (row,) = csv.DictReader(io.StringIO(ask("--format", "csv", "--spreadsheet").stdout, newline=""))
        assert (row["service"], row["actual_cost_usd"]) == ("'=HYPERLINK(1)", "-5.25")
        refused = CliRunner().invoke(cli, ["query", "anomalies", "--org", "o", "--spreadsheet"])
        assert "--spreadsheet is for --format csv" in str(refused.exception)

    def test_csv_on_a_terminal_shows_escapes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        cli(["query", "anomalies", "--org", "o", "--format", "csv"], standalone_mode=False)
        assert SHOWN.removesuffix(r"\r\n") in screen.getvalue()
        assert "\x1b" not in screen.getvalue()


def test_an_error_shows_escapes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As `no organisation 'x'; nearest: …` does, whose names are those of the data."""

    def fail(**_: Any) -> None:
        raise UsageError(f"nearest: {HOSTILE}")

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: nearest: {SHOWN}\n"
    monkeypatch.setattr(cli, "main", lambda **_: (_ for _ in ()).throw(click.ClickException(HOSTILE)))
    with pytest.raises(SystemExit):
        commands.main()
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"\\udbff": 1}', b'["\\uDC00"]', "[" * 100_000, "{", ""])
def test_json_that_no_output_can_hold_is_none(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        json_value(text)
    assert json_value('{"\\ud83d\\ude00": 1}') == {"😀": 1}
