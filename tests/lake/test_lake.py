"""Transactions: all or nothing, whatever the moment at which the process dies."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake.files import open_files
from cloud_analytics.lake.folder import Document, LakeFolder, or_list_of_values
from cloud_analytics.lake.inventory import INVENTORY, changed_by_others, files_after
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.streams import own_failures
from cloud_analytics.tables.spark_types import schema

SCHEMA = schema({"n": "bigint", "date": "string"})
X = Document("_state/x", dict[str, int], {})
NUMBERS = Document("_state/numbers", dict[str, int], {})


def _frame(spark: SparkSession, *rows: tuple[int, str]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA).coalesce(1)


def _rows(lake: Lake) -> list[tuple[int, str]]:
    return sorted((row.n, row.date) for row in lake.read("silver/t", SCHEMA).collect())


class _Killed(BaseException):
    pass


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    lake = Lake(spark, str(tmp_path / "a lake [1]{x}"))
    with lake.transaction() as transaction:
        transaction.replace("silver/t", _frame(spark, (1, "a"), (2, "b")), ["date"])
        transaction.store(X, {"version": 1})
    return lake


def test_a_partition_is_replaced_and_the_others_stay(spark: SparkSession, lake: Lake) -> None:
    with lake.transaction() as transaction:
        transaction.replace("silver/t", _frame(spark, (9, "a")), ["date"], lambda path: path.startswith("date=a"))
    assert _rows(lake) == [(2, "b"), (9, "a")]


@pytest.mark.parametrize("listed", [False, True], ids=["no inventory", "that of an earlier version"])
def test_snapshots_of_a_lake_without_inventory_are_not_taken_for_changed_by_others(
    lake: Lake, spark: SparkSession, listed: bool
) -> None:
    snapshot = "bronze/users/ingest_date=2026-01-01"

    def write(number: int) -> None:
        with Lake(spark, lake.root).transaction() as transaction:
            transaction.replace(snapshot, _frame(spark, (number, "a")))

    write(1)
    (Path(lake.root) / "_state/documents.json").unlink()
    (Path(lake.root) / f"{INVENTORY.path}.json").unlink()
    if listed:
        as_one_table = {"bronze/users": files_after({}, {}, lake.data_files("bronze/users"))}
        lake.files.write_text(f"{INVENTORY.path}.json", INVENTORY.adapter.dump_json(as_one_table).decode())
    write(2)
    assert changed_by_others(Lake(spark, lake.root)) == {}
    (file,) = (Path(lake.root) / snapshot).glob("*.parquet")
    file.unlink()
    assert changed_by_others(Lake(spark, lake.root)) == {snapshot: {"": False}}


def test_rejects_that_an_earlier_version_listed_by_date_are_not_taken_for_changed_by_others(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake, table = Lake(spark, str(tmp_path / "lake")), "quarantine/usage_events"
    rows = spark.sql("SELECT 1 id, '2026-01-01' date, explode(array('malformed_json', 'negative_cost')) error_type")
    with lake.transaction() as transaction:
        transaction.replace(table, rows, ["date", "error_type"])
    (Path(lake.root) / "_state/documents.json").unlink()
    by_date = {table: files_after({}, {}, lake.data_files(table), lambda path: path.partition("/")[0])}
    lake.files.write_text(f"{INVENTORY.path}.json", INVENTORY.adapter.dump_json(by_date).decode())
    assert changed_by_others(Lake(spark, lake.root)) == {}
    with Lake(spark, lake.root).transaction() as transaction:
        transaction.replace("silver/t", _frame(spark, (1, "a")))
    assert changed_by_others(Lake(spark, lake.root)) == {}
    broken = "date=2026-01-01/error_type=malformed_json"
    shutil.rmtree(Path(lake.root) / table / broken)
    assert changed_by_others(Lake(spark, lake.root)) == {table: {broken: False}}


def test_a_partition_without_rows_goes_with_its_folder(lake: Lake) -> None:
    with lake.transaction() as transaction:
        transaction.replace("silver/t", None, remove=lambda path: path.startswith("date=a"))
    assert _rows(lake) == [(2, "b")]
    assert lake.files.folders("silver/t") == ["date=b"]


def test_a_failure_before_the_commit_changes_nothing(spark: SparkSession, lake: Lake) -> None:
    def die() -> None:
        with lake.transaction() as transaction:
            transaction.replace("silver/t", _frame(spark, (9, "a")), ["date"])
            transaction.store(X, {"version": 2})
            raise _Killed

    with pytest.raises(_Killed):
        die()
    again = Lake(spark, lake.root)
    assert not again.recover()
    assert _rows(again) == [(1, "a"), (2, "b")]
    assert again.load(X) == {"version": 1}


@pytest.mark.parametrize("step", range(9))
def test_a_death_at_any_step_after_the_commit_is_finished_by_the_next_start(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    calls = 0

    def dying(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if committed() and calls > step:
                raise _Killed
            return original(*args, **kwargs)

        return call

    def committed() -> bool:
        return (Path(lake.root) / "_state" / "journal.json").exists()

    with monkeypatch.context() as patched:
        for name in ("delete", "move", "replace", "write_text"):
            original = getattr(lake.files, name)
            patched.setattr(lake.files, name, dying(original))
        try:
            with lake.transaction() as transaction:
                transaction.replace("silver/t", _frame(spark, (8, "a"), (9, "c")), ["date"])
                transaction.store(X, {"version": 2})
        except _Killed:
            pass
    again = Lake(spark, lake.root)
    with again.writer():
        assert _rows(again) == [(8, "a"), (9, "c")]
        assert again.load(X) == {"version": 2}
        assert not again.files.exists("_staging")


@pytest.mark.parametrize(
    "said",
    [
        {"remove": ["../kept.txt"]},
        {"remove": ["silver/../../kept.txt"]},
        {"move": [["silver/t/x", "OUTSIDE/x"]]},
        {"replace": [["OUTSIDE/kept.txt", "silver/t/x"]]},
        {"documents": {"OUTSIDE/x": 1}},
        {"documents": {"../kept": 1}},
        {"number": "../../outside"},
        {"remove": ["gold/link/kept.txt"]},
        {"documents": {"gold/link/x": 1}},
    ],
    ids=str,
)
def test_a_journal_of_a_stranger_changes_nothing_outside_of_the_lake(
    spark: SparkSession, tmp_path: Path, said: dict[str, Any]
) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "lake" / "_state").mkdir(parents=True)
    (tmp_path / "lake" / "_staging").mkdir()
    (tmp_path / "lake" / "gold").mkdir()
    (tmp_path / "lake" / "gold" / "link").symlink_to(tmp_path)
    journal = {"number": 1, "remove": [], "move": [], "documents": {}, **said}
    text = json.dumps(journal).replace("OUTSIDE", str(tmp_path))
    (tmp_path / "lake" / "_state" / "journal.json").write_text(text)
    with (
        pytest.raises(PipelineError, match=r"_state/journal.json (is damaged|follows a link)"),
        Lake(spark, f"{tmp_path}/lake").writer(),
    ):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.txt", "lake"]
    assert (tmp_path / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("link", ["silver", "silver/t", "silver/t/date=a", "_state", "_staging"])
def test_a_link_out_of_the_lake_is_not_followed(spark: SparkSession, lake: Lake, tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    Path(lake.root, "_staging").mkdir(exist_ok=True)
    shutil.copytree(Path(lake.root, link), elsewhere)
    shutil.rmtree(Path(lake.root, link))
    Path(lake.root, link).symlink_to(elsewhere)
    (elsewhere / "kept.txt").write_text("kept")
    before = sorted(elsewhere.rglob("*"))
    again = Lake(spark, lake.root)
    with pytest.raises(UsageError, match=r"is a link out of"), again.writer(), again.transaction() as transaction:
        transaction.replace("silver/t", _frame(spark, (9, "a")), ["date"])
    assert sorted(elsewhere.rglob("*")) == before


def test_a_document_is_not_written_through_a_link(lake: Lake, tmp_path: Path) -> None:
    Path(lake.root, "_metrics").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path(lake.root, "_metrics/micro_batches").symlink_to(elsewhere)
    with (
        pytest.raises(UsageError, match=r"is a link out of the lake"),
        lake.writer(),
        lake.transaction() as transaction,
    ):
        transaction.store(Document("_metrics/micro_batches/1", dict[str, int], {}), {})
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
def test_a_document_is_not_written_through_a_link_that_lies_where_it_is_prepared(
    lake: Lake, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("kept")
    Path(lake.root, "_state").mkdir(exist_ok=True)
    make(Path(lake.root, "_state/.numbers.json.tmp"), kept)
    with lake.writer(), lake.transaction() as transaction:
        transaction.store(NUMBERS, {"one": 1})
    assert kept.read_text() == "kept"
    assert json.loads(Path(lake.root, "_state/numbers.json").read_text()) == {"one": 1}


def test_a_document_that_is_no_file_of_the_lake_is_not_read(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text('{"secret": 1}')
    place = Path(lake.root, "_state/numbers.json")
    place.parent.mkdir(exist_ok=True)
    for make in (
        lambda: place.symlink_to(tmp_path / "elsewhere.json"),
        lambda: place.symlink_to("/dev/zero"),
        lambda: os.mkfifo(place),
        place.mkdir,
    ):
        make()
        with pytest.raises(UsageError, match="numbers.json is no file of "):
            Lake(spark, lake.root).load(NUMBERS)
        place.rmdir() if place.is_dir() else place.unlink()


def test_what_transactions_left_is_swept_and_nothing_else(lake: Lake) -> None:
    for name in ("1700000000000000/0", "someones"):
        Path(lake.root, "_staging", name).mkdir(parents=True)
        Path(lake.root, "_staging", name, "file").write_text("x")
    with lake.writer():
        pass
    assert [path.name for path in Path(lake.root, "_staging").iterdir()] == ["someones"]


def test_a_checkpoint_is_not_used_where_a_link_leads_out_of_it(lake: Lake, tmp_path: Path) -> None:
    Path(lake.root, "_checkpoints/query").mkdir(parents=True)
    Path(lake.root, "_checkpoints/query/offsets").symlink_to(tmp_path)
    with pytest.raises(UsageError, match=r"is a link out of"), own_failures(lake, "_checkpoints/query", []):
        pytest.fail("the query would be started")


def test_a_document_that_was_deleted_is_not_taken_for_one_that_never_was(spark: SparkSession, lake: Lake) -> None:
    """The ledger would say that nothing was taken in yet, and the periods that no month is closed."""
    assert lake.load(NUMBERS) == {}
    for number in (1, 2):
        with lake.writer(), lake.transaction() as transaction:
            transaction.store(NUMBERS, {"n": number})
            transaction.replace("bronze/t", _frame(spark, (number, "a")), ["date"], remove=None)
    (Path(lake.root) / "_state" / "numbers.json").unlink()
    with pytest.raises(PipelineError, match=r"_state/numbers.json was deleted.*restore the lake"):
        Lake(spark, lake.root).load(NUMBERS)
    with pytest.raises(PipelineError, match=r"_state/numbers.json was deleted"), Lake(spark, lake.root).writer():
        pass
    (Path(lake.root) / "_state" / "documents.json").unlink()
    with pytest.raises(PipelineError, match=r"_state/documents.json was deleted"), Lake(spark, lake.root).writer():
        pass
    shutil.rmtree(Path(lake.root) / "_state")
    with (
        pytest.raises(PipelineError, match=r"_state/last_transaction.json is not there"),
        Lake(spark, lake.root).writer(),
    ):
        pass


def test_a_document_that_holds_null_is_not_taken_for_one_that_was_deleted(lake: Lake) -> None:
    """As the clock of a lake in which no line has a usable timestamp."""
    clock = Document("_state/clock", int, None)
    with lake.transaction() as transaction:
        transaction.store(clock, None)
    assert json.loads(Path(lake.root, "_state/clock.json").read_text()) is None
    assert LakeFolder(open_files(lake.root)).load(clock) is None


@pytest.mark.parametrize("zone", ["bronze", "silver", "gold", "quarantine"])
def test_nothing_is_written_into_a_folder_of_others(spark: SparkSession, tmp_path: Path, zone: str) -> None:
    """Their files would be taken for old ones of a table, and ours would take their names."""
    (tmp_path / zone / "users").mkdir(parents=True)
    (tmp_path / zone / "users" / "theirs.csv").write_text("theirs")
    with (
        pytest.raises(PipelineError, match=r"_state/last_transaction.json is not there.*fill an empty one"),
        Lake(spark, str(tmp_path)).writer(),
    ):
        pass


def test_what_nothing_can_build_again_is_on_disk_before_the_journal(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power after the commit left empty files of Bronze, which nothing can build again."""
    synced: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), lake.root))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    rows = _frame(spark, (9, "a"), (9, "b"))
    with lake.writer(), lake.transaction() as transaction:
        for table in ("bronze/t", "quarantine/t", "silver/t", "gold/t"):
            transaction.replace(table, rows, ["date"], remove=None)
        transaction.final += ("gold/t", "silver/t/date=b")
        closed = [f"silver/t/{path}" for path in lake.data_files("silver/t") if path.startswith("date=b")]
    journal = synced.index("_state/.journal.json.tmp")
    staged = [path for path in synced[:journal] if path.startswith("_staging/")]
    assert sorted(path.split("/")[2] for path in staged) == ["0", "0", "1", "1", "2", "3", "3"]
    assert len(set(staged)) == len(staged)
    assert closed[0] in synced[:journal]
    assert synced[journal + 1] == "_state"
    assert {"bronze", "bronze/t", "bronze/t/date=a", "quarantine/t/date=b", "_state"} <= {*synced[journal + 2 :]}


def test_a_second_writer_is_told_so(spark: SparkSession, lake: Lake) -> None:
    for name in (lake.root, f"file://{lake.root}", f"file:{lake.root}/"):
        with lake.writer(), pytest.raises(UsageError, match="another run"), Lake(spark, name).writer():
            pass


def test_a_uri_names_the_same_lake(spark: SparkSession, lake: Lake) -> None:
    other = Lake(spark, f"file://{lake.root}")
    with other.writer(), other.transaction() as transaction:
        transaction.replace("silver/t", _frame(spark, (9, "a")), ["date"], lambda path: path.startswith("date=a"))
    assert _rows(Lake(spark, lake.root)) == _rows(other) == [(2, "b"), (9, "a")]


@pytest.mark.parametrize("content", ['{"a":', "", "null", "[]", "\udcff", pytest.param("[" * 200_000, id="nested")])
def test_a_damaged_document_is_named_before_anything_is_done(tmp_path: Path, content: str) -> None:
    """Taken for one that was never stored, everything would be ingested once more."""
    folder = LakeFolder(open_files(str(tmp_path)))
    ledger = Document("_state/ledger", dict[str, int], {})
    assert folder.load(ledger) == {}
    (tmp_path / "_state").mkdir()
    (tmp_path / "_state" / "ledger.json").write_text(content, errors="surrogateescape")
    with pytest.raises(PipelineError, match=r"_state/ledger.json is damaged.*restore the lake"):
        LakeFolder(open_files(str(tmp_path))).load(ledger)


@dataclass(frozen=True)
class Seen:
    length: int
    name: str = ""


SEEN = Document("_state/seen", dict[str, Annotated[Seen, or_list_of_values(Seen)]], {})


def test_a_document_has_named_values_and_is_read_as_earlier_versions_stored_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = Lake(spark, str(tmp_path))
    assert lake.load(SEEN) == {}
    with lake.transaction() as transaction:
        transaction.store(SEEN, {"a": Seen(1, "x")})
    assert lake.load(SEEN) == {"a": Seen(1, "x")}
    path = tmp_path / "_state" / "seen.json"
    assert json.loads(path.read_text()) == {"a": {"length": 1, "name": "x"}}
    path.write_text('{"a": [1, "x"], "b": [2]}')
    assert Lake(spark, str(tmp_path)).load(SEEN) == {"a": Seen(1, "x"), "b": Seen(2)}
    for wrong in ("[]", '{"a": {"length": "many"}}', '{"a": []}'):
        path.write_text(wrong)
        with pytest.raises(PipelineError, match=r"_state/seen.json is damaged.*restore the lake"):
            Lake(spark, str(tmp_path)).load(SEEN)
