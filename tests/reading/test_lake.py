"""A lake that is only read: declared columns whatever the files hold, nothing but one SELECT, and files that vanish."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from cloud_analytics.cli import cli
from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake import inventory, journal
from cloud_analytics.lake.file_system import FileInfo
from cloud_analytics.lake.files import LocalFileSystem, open_files
from cloud_analytics.lake.folder import Document, LakeFolder
from cloud_analytics.lake.inventory import INVENTORY, files_after
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.runtime import filelock
from cloud_analytics.runtime.filelock import FileLock
from tests.conftest import REPOSITORY
from tests.test_follow import wait_for

MART = "gold/carbon_impact"


def put(lake: Path, day: str, rows: int = 1, name: str = "part-0.parquet", **columns: Any) -> Path:
    """A partition of the mart with that many rows; `columns` replaces what the first row holds."""
    kilograms = pa.array([Decimal("0.100000")] * rows, pa.decimal128(28, 6))
    found = {"org_id": pa.array(["org_a"] * rows), "total_carbon_kg": kilograms, "events": pa.array([3] * rows)}
    folder = lake / MART / f"usage_date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**found, **columns}), folder / f".{name}")
    return (folder / f".{name}").rename(folder / name)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "usage_date=1999-01-01" / "a lake [a]{b}*?'é"  # whatever the names of its parents
    put(folder, "2025-06-10")
    put(folder, "2025-06-11", 2)
    return folder


def reader(lake: Path) -> LakeReader:
    return LakeReader(open_files(str(lake)))


def test_a_table_has_its_declared_columns_and_exact_values(lake: Path) -> None:
    first = reader(lake).rows("SELECT * FROM gold.carbon_impact ORDER BY usage_date")[0]
    assert first == {
        "org_id": "org_a",
        "total_carbon_kg": Decimal("0.100000"),
        "events": 3,
        "events_with_carbon": None,  # declared, and in no file: written before there was such a column
        "coverage": None,
        "carbon_kg_per_usd": None,
        "usage_date": date(2025, 6, 10),
    }
    frame = reader(lake).sql("SELECT sum(total_carbon_kg) AS kg, min(usage_date) AS day FROM gold.carbon_impact")
    assert (frame["kg"][0], frame["day"][0]) == (Decimal("0.300000"), date(2025, 6, 10))


def test_files_of_one_table_may_differ_in_their_columns(lake: Path) -> None:
    put(lake, "2025-06-12", coverage=pa.array([Decimal("0.5")], pa.decimal128(38, 10)), extra=pa.array([1]))
    rows = reader(lake).rows("SELECT coverage FROM gold.carbon_impact ORDER BY usage_date")
    assert [row["coverage"] for row in rows] == [None, None, None, Decimal("0.5000000000")]


@pytest.mark.parametrize("left", [0, 9, 200])
def test_a_file_that_was_cut_short_is_named_with_what_to_do(lake: Path, left: int) -> None:
    file = next((lake / "gold/carbon_impact").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(
        PipelineError, match=rf"{file.name} is no Parquet file any more.*run` builds the partition again"
    ):
        reader(lake).rows("SELECT * FROM gold.carbon_impact")


@pytest.mark.parametrize("days", [["2025-06-11"], ["2025-06-11", "2025-06-12"], ["2025-06-10", "2025-06-11"]])
@pytest.mark.parametrize("value", ["x", [1], {"a": 1}], ids=["text", "list", "struct"])
def test_a_file_whose_column_has_another_type_is_named_with_what_to_do(
    tmp_path: Path, days: list[str], value: Any
) -> None:
    for day in days:
        put(tmp_path, day, **({"events": pa.array([value])} if day == "2025-06-11" else {}))
    with pytest.raises(PipelineError, match=r"06-11/part-0.parquet holds events as \S+.*, not as BIGINT: restore it"):
        reader(tmp_path).rows("SELECT sum(events) AS n FROM gold.carbon_impact")


@pytest.mark.parametrize("refused", ["exists", "entries", "open"])
def test_what_may_not_be_read_is_one_line(lake: Path, refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (lake / "_state").mkdir()
    (lake / "_state" / "last_transaction.json").write_text("1")

    def refuse(files: LocalFileSystem, path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), files.full(path))

    monkeypatch.setattr(LocalFileSystem, refused, refuse)
    error = CliRunner().invoke(cli, ["audit", "--lake", str(lake), "--landing", str(lake)]).exception
    assert isinstance(error, UsageError)
    assert str(error).startswith("Permission denied: ")
    assert f"(lake {lake}): give this user the right to it" in str(error)


def test_the_files_of_a_neighbour_whose_name_the_lakes_name_matches_are_not_read(tmp_path: Path) -> None:
    for name, rows in (("lake[ab]", 1), ("lakea", 5)):
        put(tmp_path / name, "2025-06-10", rows)
    put(tmp_path / "lake[ab]", "2025-06-11", 2, name="*.parquet")
    put(tmp_path / "lake[ab]", "2025-06-11", 3, name="part-0.parquet")
    assert len(reader(tmp_path / "lake[ab]").rows("SELECT * FROM gold.carbon_impact")) == 1 + 2 + 3
    assert len(reader(tmp_path / "lakea").rows("SELECT * FROM gold.carbon_impact")) == 5


def test_an_absent_table_is_empty_with_its_columns(lake: Path) -> None:
    frame = reader(lake).sql("SELECT * FROM silver.usage_events")
    assert (len(frame), list(frame)[:2]) == (0, ["event_id", "event_ts"])
    shown = reader(lake).sql("SHOW ALL TABLES")
    assert {"bronze", "silver", "gold", "quarantine"} == set(shown["schema"])
    assert {"usage_events", "users", "revenue_by_org_month"} <= set(shown["name"])


def test_times_are_utc(tmp_path: Path) -> None:
    folder = tmp_path / "quarantine" / "users" / "date=2025-06-10" / "error_type=missing_key"
    folder.mkdir(parents=True)
    moment = datetime(2025, 6, 10, 12, tzinfo=timezone.utc)
    pq.write_table(pa.table({"ingest_ts": pa.array([moment], pa.timestamp("us", "UTC"))}), folder / "a.parquet")
    (row,) = reader(tmp_path).rows("SELECT ingest_ts, error_type FROM quarantine.users")
    assert row == {"ingest_ts": moment, "error_type": "missing_key"}
    assert str(row["ingest_ts"].utcoffset()) == "0:00:00"


def test_no_progress_bar_stands_among_the_results(lake: Path) -> None:
    assert reader(lake).row("SELECT current_setting('enable_progress_bar') AS shown") == {"shown": False}


def test_a_new_file_is_seen_by_the_next_query(lake: Path) -> None:
    opened = reader(lake)
    count = "SELECT count(*) AS n FROM gold.carbon_impact"
    assert opened.row(count)["n"] == 3
    put(lake, "2025-06-12", 4)
    assert opened.row(count)["n"] == 7
    put(lake, "2025-06-12", 5)
    assert opened.row(count)["n"] == 8


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO gold.carbon_impact VALUES (1)",
        "CREATE TABLE t AS SELECT 1",
        "COPY (SELECT 1) TO '{lake}/gold/x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/gold/x.csv'",
        "ATTACH '{lake}/x.db'",
        "WITH x AS (COPY (SELECT 1) TO '{lake}/gold/x.parquet' (FORMAT parquet)) SELECT 1",
        "WITH x AS (INSERT INTO gold.carbon_impact VALUES (1) RETURNING 1) SELECT 1",
        *(
            run.format(text="json_serialize_sql($$WITH x AS (COPY (SELECT 1) TO '{lake}/gold/x.csv') FROM x$$)")
            for run in (
                "SELECT (SELECT count(*) FROM json_execute_serialized_sql({text}))",
                'FROM system.main."JSON_execute_serialized_sql"({text})',
                "FROM destroy_external_resource('json_execute_serialized_sql', {text})",
            )
        ),
        "FROM query('SELECT 1')",
        "FROM query_table('gold.' || 'carbon_impact')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_text('{lake}/_cassandra/password')",
        "SELECT * FROM '{lake}/_state/x.json'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM lake",  # a variable of the caller's
        "SELECT * FROM gold.no_such_mart",
        "SELECT FROM WHERE",
    ],
)
def test_nothing_is_written_and_nothing_else_is_read(lake: Path, query: str) -> None:
    for name in ("_cassandra/password", "_state/x.json"):
        (lake / name).parent.mkdir()
        (lake / name).write_text("{}")
    before = sorted(str(path) for path in lake.rglob("*"))
    with pytest.raises(UsageError) as raised:
        reader(lake).sql(query.format(lake=str(lake).replace("'", "''")))
    assert len(str(raised.value).splitlines()) == 1
    assert sorted(str(path) for path in lake.rglob("*")) == before


def test_a_file_that_went_since_it_was_listed_is_looked_for_again(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = reader(lake)
    listed = opened.files.files
    stale = [replace(info, path=info.path.replace("part-0", "part-9")) for info in listed(MART)]
    answers = iter([stale, stale])
    monkeypatch.setattr(opened.files, "files", lambda table: next(answers, None) or listed(table))
    assert opened.row("SELECT count(*) AS n FROM gold.carbon_impact")["n"] == 3


def test_a_reader_beside_a_writer_finds_each_partition_whole(lake: Path) -> None:
    for day in ("2025-06-10", "2025-06-11"):
        put(lake, day, 500)
    stop = threading.Event()

    def replace_files() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            put(lake, f"2025-06-{10 + number % 2}", 500 + number % 7)

    writer = threading.Thread(target=replace_files)
    writer.start()
    try:
        opened = reader(lake)
        for _ in range(100):
            rows = opened.rows("SELECT usage_date, count(*) AS n, sum(events) AS e FROM gold.carbon_impact GROUP BY 1")
            assert [row["n"] for row in rows] == [row["e"] / 3 for row in rows]
            assert len(rows) == 2
            assert all(500 <= row["n"] < 507 for row in rows)
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("lock", ["there", "not there", "not mine"])
def test_a_lake_whose_writer_was_killed_in_the_middle_of_a_commit_is_refused(
    lock: str, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = reader(lake)
    assert opened.row("SELECT count(*) AS n FROM gold.carbon_impact")["n"] == 3
    (lake / "_state").mkdir()
    (lake / "_state/journal.json").write_text("{}")
    if lock != "not there":
        (lake / "_state/writer.lock").touch()
    if lock == "not mine":  # who only reads cannot tell whether somebody writes

        def refuse(_: Path) -> int:
            raise PermissionError

        monkeypatch.setattr(filelock, "_opened", refuse)
        monkeypatch.setattr(journal, "_PATIENCE", 0.2)
    questions: list[Callable[[], Any]] = [
        lambda: opened.rows("SELECT * FROM gold.carbon_impact"),
        lambda: opened.sql("SELECT * FROM gold.carbon_impact"),
        lambda: opened.stored(MART),
        lambda: opened.load(Document("_state/x", int, None)),
    ]
    for ask in questions:
        with pytest.raises(UsageError, match=r"killed .* `cloud-analytics run` \(or `reconcile`\)"):
            ask()


def test_a_reader_waits_while_a_live_writer_commits(lake: Path) -> None:
    opened = reader(lake)
    (lake / "_state").mkdir()
    (lake / "_state/journal.json").write_text("{}")

    def commit() -> None:
        put(lake, "2025-06-12", 4)
        (lake / "_state/journal.json").unlink()

    with FileLock(lake / "_state/writer.lock"):
        writer = threading.Timer(0.3, commit)
        writer.start()
        assert opened.row("SELECT count(*) AS n FROM gold.carbon_impact")["n"] == 3 + 4
        writer.join()


def settle(lake: Path) -> None:
    """Store the inventory of the mart, as a transaction does."""
    found = LakeFolder(LocalFileSystem(str(lake))).data_files(MART)
    (lake / "_state").mkdir(exist_ok=True)
    (lake / "_state/last_transaction.json").write_text("1")
    (lake / "_state/files.json").write_bytes(INVENTORY.adapter.dump_json({MART: files_after({}, {}, found)}))


def test_what_others_deleted_or_exchanged_is_told_by_every_reader_and_no_audit_is_balanced(lake: Path) -> None:
    def told(*command: str) -> tuple[Result, list[str]]:
        done = CliRunner().invoke(cli, [*command, "--lake", str(lake), "--format", "json"])
        return done, [line for line in done.stderr.splitlines() if "others changed" in line]

    settle(lake)
    audit, sql = ("audit", "--landing", str(lake)), ("sql", "SELECT count(*) AS n FROM gold.carbon_impact")
    done, warned = told(*audit)
    assert (done.exit_code, warned) == (0, [])
    put(lake, "2025-06-10", 2, events=pa.array([4, 5]))
    shutil.rmtree(lake / MART / "usage_date=2025-06-11")
    done, warned = told(*sql)
    assert done.exit_code == 0
    assert warned == [
        "warning: others changed gold/carbon_impact (files of 2025-06-10 and 1 more partitions): figures may be wrong"
        " until `cloud-analytics run` builds them again, or says what it cannot build"
    ]
    done, warned = told(*audit)
    assert (done.exit_code, len(warned)) == (1, 1)
    assert json.loads(done.stdout)["changed_by_others"] == {MART: "files of 2025-06-10 and 1 more partitions"}
    for more in ([], ["--quiet"]):
        done = CliRunner().invoke(cli, [*audit, "--lake", str(lake), *more])
        assert done.exit_code == 1
        assert "Balanced" not in done.stdout
        assert "NOT as the pipeline left it: others changed gold/carbon_impact" in done.stdout


def test_commits_while_files_are_compared_are_no_changes_by_others(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(lake)
    opened = reader(lake)
    files, days, open_commit = opened.files.files, iter(("2025-06-12", "2025-06-13")), []

    def begin_a_commit(path: str) -> list[FileInfo]:
        for day in days:  # after the inventory was read and before the files are listed, twice
            put(lake, day)
            open_commit.append(day)
            break
        return files(path)

    def end_it(_: object) -> None:
        if open_commit:
            open_commit.clear()
            settle(lake)

    monkeypatch.setattr(opened.files, "files", begin_a_commit)
    monkeypatch.setattr(inventory, "await_commit", end_it)
    assert opened.changed() == {}
    assert next(days, None) is None


def test_no_command_that_only_reads_starts_spark(tmp_path: Path) -> None:
    (tmp_path / "_state").mkdir()
    (tmp_path / "_state" / "last_transaction.json").write_text("1")
    (tmp_path / "landing").mkdir()
    code = """
import sys
sys.modules["cloud_analytics.session"] = None  # no session is started without it
from cloud_analytics.cli import main
main()
"""
    places = ["--lake", str(tmp_path), "--format", "json"]
    for command in (
        ["audit", "--landing", str(tmp_path / "landing")],
        ["rules"],
        ["quarantine", "list"],
        ["quarantine", "show"],
        ["profile"],
        ["lateness"],
        ["sql", "SHOW ALL TABLES"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *command, *places], capture_output=True, text=True, cwd=REPOSITORY, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)


def test_sql_answers_people_and_scripts(lake: Path) -> None:
    (lake / "_state").mkdir()
    (lake / "_state" / "last_transaction.json").write_text("1")
    query = "SELECT usage_date, sum(total_carbon_kg) AS kg, NULL AS none, true AS b FROM gold.carbon_impact"
    query += " GROUP BY 1 ORDER BY 1"

    def ask(*options: str) -> str:
        answer = CliRunner().invoke(cli, ["sql", query, "--lake", str(lake), *options])
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert ask("--format", "csv") == "usage_date,kg,none,b\n2025-06-10,0.100000,,true\n2025-06-11,0.200000,,true\n"
    first = {"usage_date": "2025-06-10", "kg": "0.100000", "none": None, "b": True}
    assert json.loads(ask("--format", "json"))["rows"][0] == first
    assert "0.200000" in ask()
    assert ask("--quiet") == "2 rows.\n"
    refused = CliRunner().invoke(cli, ["sql", query, "--lake", str(lake), "--spreadsheet"])
    assert "--spreadsheet is for --format csv" in str(refused.exception)


def processor_seconds(pid: int) -> float:
    """What all threads of a process have used so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_query_without_an_end_is_ended_by_a_signal(number: int, status: int, lake: Path) -> None:
    (lake / "_state").mkdir()
    (lake / "_state" / "last_transaction.json").write_text("1")
    endless = "SELECT count(*) FROM range(100000000) t(i), range(1000000) u(j) WHERE hash(i + j) = 7"
    command = [sys.executable, "-m", "cloud_analytics", "sql", endless, "--lake", str(lake)]
    asked = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: processor_seconds(asked.pid) > 4, "the query")  # the rest of the command takes one
        asked.send_signal(number)
        out, err = asked.communicate(timeout=30)
    finally:
        asked.kill()
    line = "stopped; what was complete stays, and the same command does the rest\n"
    assert (asked.returncode, out, err.lstrip("\n")) == (status, "", line)  # the line begins below a `^C`


def test_an_answer_that_nobody_reads_is_refused_before_it_fills_the_memory(lake: Path) -> None:
    with pytest.raises(UsageError, match=r"^the answer has more than 1,000,000 rows: narrow it by WHERE"):
        reader(lake).table("SELECT * FROM range(5_000_000)")
    assert len(reader(lake).table("SELECT * FROM range(1000)")[1]) == 1000
    with pytest.raises(UsageError, match=r"^the answer has more than 268,435,456 characters: narrow it"):
        reader(lake).table("SELECT repeat('x', 1_000_000) FROM range(1000)")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bound no process")
@pytest.mark.parametrize("query", ["SELECT repeat([{'a': 1}], 15_000_000)", "SELECT repeat('x', 1_000_000_000)"])
def test_one_value_does_not_take_all_memory(query: str, lake: Path) -> None:
    """The machine is one with a gigabyte: it has no room for Python's copy of such a value."""
    (lake / "_state").mkdir()
    (lake / "_state" / "last_transaction.json").write_text("1")
    code = """
from cloud_analytics.cli import main
from cloud_analytics.reading.lake import LakeReader
LakeReader.memory_limit = lambda _: 2**29
main()
"""
    command = [sys.executable, "-c", code, "sql", query, "--lake", str(lake), "--format", "json"]
    asked = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    line = "error: the answer takes too much memory: narrow it by WHERE, GROUP BY or LIMIT\n"
    assert (asked.returncode, asked.stdout[:200], asked.stderr) == (2, "", line)


def test_the_time_zone_of_the_machine_changes_no_answer(lake: Path) -> None:
    (lake / "_state").mkdir()
    (lake / "_state" / "last_transaction.json").write_text("1")
    query = "SELECT '2025-06-01T03:00:00Z'::timestamptz::date AS day, 'nan'::double AS n, NULL::double AS nothing"
    command = [sys.executable, "-m", "cloud_analytics", "sql", query, "--lake", str(lake), "--format", "csv"]
    environment = {**os.environ, "TZ": "America/New_York"}
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines() == ["day,n,nothing", "2025-06-01,nan,"]


def test_half_of_the_memory_is_left_to_others(lake: Path) -> None:
    """Of what DuckDB would take, which knows of containers: 80 %."""

    def gib(answer: list[tuple[str]]) -> float:
        number, unit = answer[0][0].split()
        return float(number) * {"MiB": 1 / 1024, "GiB": 1, "TiB": 1024}[unit]

    question = "SELECT current_setting('memory_limit')"
    whole = gib(duckdb.connect().execute(question).fetchall())
    assert gib(reader(lake)._connection.execute(question).fetchall()) == pytest.approx(whole * 5 / 8, rel=0.02)


def test_json_of_sql_holds_every_kind_of_value_and_every_column(lake: Path) -> None:
    (lake / "_state").mkdir()
    (lake / "_state" / "last_transaction.json").write_text("1")

    def ask(query: str) -> Result:
        return CliRunner().invoke(cli, ["sql", query, "--lake", str(lake), "--format", "json"])

    found = ask(r"SELECT 'a\xFF'::BLOB AS b, TIME '10:00:00' AS t, INTERVAL 90 SECOND AS i")
    assert json.loads(found.output)["rows"] == [{"b": "a\\xff", "t": "10:00:00", "i": "0:01:30"}]
    assert "two columns are called a" in str(ask("SELECT 1 AS a, 2 AS a").exception)


def test_to_read_a_lake_no_spark_is_imported() -> None:
    code = (
        "import sys, cloud_analytics.reading.audit, cloud_analytics.reading.tables as declared;"
        "print(len(list(declared.tables())) > 20, 'pyspark' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
