"""Law 6 on a real Cassandra: tables hold what Gold holds, whatever was loaded before, how often and in which order."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.config import Config
from cloud_analytics.config.pipeline import CassandraSettings
from cloud_analytics.dashboard.source import Source
from cloud_analytics.engine.marts import CHANGE_LOG
from cloud_analytics.errors import PipelineError, StoreUnavailable, UsageError
from cloud_analytics.lake.folder import STORED, Document
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.served import plan
from cloud_analytics.serving.connect import Direct
from cloud_analytics.serving.keyspace import IDENTITY, Loaded, Owner, claim, expect_own, found_tables
from cloud_analytics.serving.load import serve
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.node_files import HOST
from cloud_analytics.serving.queries import ask
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import Target, local_target, open_session, open_target
from cloud_analytics.serving.write import forget_connections, upsert
from tests.serving.conftest import OpenLake, unequal, writing_session

pytestmark = [pytest.mark.spark, pytest.mark.cassandra]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    """The way to a node."""
    with EmbeddedNode(tmp_path_factory.mktemp("node") / "_cassandra").in_use() as access:
        yield access


@pytest.fixture
def target(node: Direct, request: pytest.FixtureRequest) -> Target:
    """Each test has a keyspace of its own."""
    return local_target(node, request.node.name.removeprefix("test_")[:40])


@pytest.fixture(scope="module")
def shared(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(built / "lake", tmp_path_factory.mktemp("shared") / "lake"))


@pytest.fixture
def open_served(shared: Path, built: Path, spark: SparkSession, config: Config, served: Target) -> OpenLake:
    """As `open_lake`, over a lake that is served. Its tests share it with its keyspace: a first load takes long."""

    def open_it(chosen: Config = config) -> Pipeline:
        return Pipeline(Lake(spark, str(shared)), str(built / "landing"), chosen, target=served)

    open_it().serve()
    return open_it


@pytest.fixture
def served(node: Direct) -> Target:
    """The keyspace of `open_served`."""
    return local_target(node, "shared")


def without_storage(config: Config) -> Config:
    """Rules that reject what they took before: events of storage."""
    services = [service for service in config.taxonomy.services if service != "storage"]
    taxonomy = config.taxonomy.model_copy(update={"services": services, "service_aliases": {}})
    return config.model_copy(update={"taxonomy": taxonomy})


def writetimes(target: Target) -> list[int]:
    with target.session() as session:
        rows = session.execute("SELECT writetime(total_cost_usd) AS at FROM finops_daily_usage")
        return sorted(row["at"] for row in rows)


def test_tables_hold_what_gold_holds_and_a_second_load_writes_nothing(open_lake: OpenLake, target: Target) -> None:
    written = open_lake().serve().served
    assert set(written) == set(tables())
    assert unequal(open_lake()) == []
    before = writetimes(target)
    assert open_lake().serve().served == {}
    assert writetimes(target) == before
    with target.session() as session:
        row = session.execute("SELECT ttl(total_cost_usd) AS seconds FROM finops_daily_usage LIMIT 1").one()
        assert 0.99 * 90 * 86400 < row["seconds"] <= 90 * 86400


def test_what_a_correction_removes_goes_and_no_reader_finds_a_partition_empty(
    open_lake: OpenLake, target: Target, config: Config
) -> None:
    open_lake().serve()
    reader = Reader(target)
    outcome = open_lake(without_storage(config)).run()
    assert reader.stop() == []
    assert set(outcome.served) >= {"finops_daily_usage", "org_service_cost_summary"}
    assert unequal(open_lake()) == []
    with target.session() as session:
        for table in ("finops_daily_usage", "carbon_daily"):
            assert list(session.execute(f"SELECT * FROM {table} WHERE org_id = 'org_alone'")) == []
        ranks = "SELECT service FROM org_service_cost_summary WHERE org_id = 'org_a' AND summary_date = '2025-05-31'"
        assert "storage" not in {row["service"] for row in session.execute(ranks)}
    assert set(open_lake(config).run().served) >= {"finops_daily_usage"}
    assert unequal(open_lake()) == []


def test_a_mart_whose_files_others_deleted_is_not_loaded(open_lake: OpenLake, target: Target) -> None:
    pipeline = open_lake()
    lost = min((Path(pipeline.lake.root.removeprefix("file:")) / "gold/carbon_impact").iterdir())
    shutil.rmtree(lost)
    with pytest.raises(PipelineError, match=f"others changed gold/carbon_impact, files of {lost.name[-10:]}: "):
        pipeline.serve()
    pipeline.run()
    assert unequal(open_lake()) == []


def test_a_table_that_somebody_emptied_is_loaded_again(open_served: OpenLake, served: Target) -> None:
    with served.session() as session:
        session.execute("TRUNCATE revenue_monthly")
    assert {part.table for part in plan(open_served().lake, served).tables if part.rows} == {"revenue_monthly"}
    assert set(open_served().serve().served) == {"revenue_monthly"}
    assert unequal(open_served()) == []
    assert open_served().serve().served == {}


def test_what_a_load_would_write_is_told_without_spark(open_lake: OpenLake, target: Target, config: Config) -> None:
    def refused() -> SparkSession:
        raise AssertionError("a dry run starts Spark")

    def planned() -> dict[str, int]:
        found = plan(Lake(refused, open_lake().lake.root), target)
        return {part.table: part.rows for part in found.tables if part.partitions}

    assert planned() == open_lake().serve().served
    assert planned() == {}
    corrected = open_lake(without_storage(config))
    corrected.target = None
    corrected.run()
    expected = planned()
    assert expected["finops_daily_usage"] > 0
    assert open_lake().serve().served == expected


class Reader:
    """Reads two partitions that always have rows, again and again, and notes what it finds empty."""

    QUERIES = (
        "SELECT * FROM finops_daily_usage WHERE org_id = 'org_a'",
        "SELECT * FROM org_service_cost_summary WHERE org_id = 'org_a' AND summary_date = '2025-05-31'",
    )

    def __init__(self, target: Target) -> None:
        self.target, self.ended, self.reads = target, threading.Event(), 0
        self.empty: list[str] = []
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self) -> None:
        with self.target.session() as session:
            while not self.ended.is_set():
                self.empty += [query for query in self.QUERIES if not list(session.execute(query))]
                self.reads += 1
                time.sleep(0.02)

    def stop(self) -> list[str]:
        self.ended.set()
        self.thread.join()
        assert self.reads > 50
        return self.empty


def test_a_lost_checkpoint_loads_nothing_twice(open_served: OpenLake, served: Target) -> None:
    pipeline = open_served()
    before = writetimes(served)
    pipeline.lake.files.delete("_checkpoints")
    assert open_served().serve().served == {}
    with served.session() as session:
        session.execute("TRUNCATE revenue_monthly")
    assert set(open_served().serve().served) == {"revenue_monthly"}
    assert writetimes(served) == before


def test_without_memory_all_is_loaded_again_and_strangers_go(open_served: OpenLake, served: Target) -> None:
    pipeline = open_served()
    with served.session() as session:
        for org, day in (("org_a", "2025-05-21"), ("ghost", "2025-05-21"), ("ghost", "1999-01-01")):
            session.execute(
                f"INSERT INTO finops_daily_usage (org_id, usage_date, service) VALUES ('{org}', '{day}', 'magic')"
            )
    (document,) = state_of(pipeline.lake)
    never_stored(pipeline.lake, document)
    assert set(open_served().serve().served) == set(tables())
    assert unequal(open_served()) == []


def other_lake(first: Pipeline, built: Path, tmp_path: Path) -> Pipeline:
    """A lake of its own, which was never served, with the same target."""
    shutil.copytree(built / "lake", tmp_path / "other")
    return Pipeline(Lake(first.lake.spark, str(tmp_path / "other")), first.landing, first.config, target=first.target)


def test_another_lake_is_refused_unless_it_takes_over(
    open_served: OpenLake, served: Target, built: Path, tmp_path: Path
) -> None:
    other = other_lake(open_served(), built, tmp_path)
    before = writetimes(served)
    for call in (other.serve, lambda: plan(other.lake, served)):
        with pytest.raises(
            UsageError, match=r"holds the rows of another lake \(.*/lake\): .*serve --take-over"
        ) as told:
            call()
        assert "\n" not in str(told.value)
    assert writetimes(served) == before
    assert open_served().serve().served == {}
    assert unequal(open_served()) == []

    other.target = replace(served, take_over=True)
    assert {part.table for part in plan(other.lake, other.target).tables} == set(tables())
    assert set(other.serve().served) == set(tables())
    other.target = served
    assert other.serve().served == {}  # it is its own now
    with pytest.raises(UsageError, match=r"another lake \(.*/other\)"):
        open_served().serve()
    with served.session() as session:
        session.execute("TRUNCATE revenue_monthly")
    serve(open_served().lake, replace(served, take_over=True))  # what it remembers to have loaded holds no more
    assert unequal(open_served()) == []


def test_of_two_lakes_that_find_a_keyspace_empty_one_has_it(
    open_lake: OpenLake, target: Target, built: Path, tmp_path: Path
) -> None:
    lakes = [open_lake().lake, other_lake(open_lake(), built, tmp_path).lake]
    with writing_session(target) as session:
        mine, others = (Owner(f"of {lake.root}", lake.root, 1) for lake in lakes)
        assert expect_own(session, lakes[0], str(target), {}) is None
        claim(session, others, None, str(target))
        with pytest.raises(UsageError, match="another lake since a moment ago"):
            claim(session, mine, None, str(target))


def test_a_keyspace_without_an_identity_is_its_lakes_or_nobodys(
    open_served: OpenLake, served: Target, built: Path, tmp_path: Path
) -> None:
    """As every keyspace was left by versions that wrote none."""
    other = other_lake(open_served(), built, tmp_path)
    with served.session() as session:
        session.execute("DROP TABLE lake_identity")
    never_stored(open_served().lake, IDENTITY.path)
    with pytest.raises(UsageError, match="holds rows, and nothing says that they are this lake's"):
        other.serve()
    before = writetimes(served)
    assert open_served().serve().served == {}
    assert writetimes(served) == before
    with pytest.raises(UsageError, match="another lake"):
        other.serve()


def test_a_lake_that_was_restored_does_not_believe_what_it_remembers(
    open_lake: OpenLake, target: Target, config: Config, tmp_path: Path
) -> None:
    open_lake().serve()
    shutil.copytree(open_lake().lake.root, tmp_path / "backup")
    open_lake(without_storage(config)).run()
    shutil.rmtree(open_lake().lake.root)
    shutil.move(tmp_path / "backup", open_lake().lake.root)
    assert unequal(open_lake()) != []
    open_lake().serve()
    assert unequal(open_lake()) == []
    assert open_lake().serve().served == {}


@pytest.fixture
def cluster(target: Target, node: Direct, monkeypatch: pytest.MonkeyPatch) -> CassandraSettings:
    """The node as a cluster of one's own; its login stands in the environment."""
    assert node.login is not None
    monkeypatch.setenv("CASSANDRA_USERNAME", node.login.username)
    monkeypatch.setenv("CASSANDRA_PASSWORD", node.login.password)
    return CassandraSettings(port=node.port, keyspace=target.keyspace)


def test_a_store_that_was_restored_is_loaded_again(open_lake: OpenLake, target: Target, config: Config) -> None:
    open_lake().serve()
    with target.looking_session() as (session, found):
        before = expect_own(session, open_lake().lake, str(target), found)
    open_lake(without_storage(config)).run()
    with writing_session(target) as session:
        assert before is not None
        claim(session, before, before, str(target))  # with what its tables held then
        session.execute("TRUNCATE carbon_daily")
        session.execute("DELETE FROM finops_daily_usage WHERE org_id = 'org_a'")
    open_lake(without_storage(config)).serve()
    assert unequal(open_lake()) == []
    assert open_lake(without_storage(config)).serve().served == {}


def test_a_command_is_told_before_it_begins(
    open_served: OpenLake, served: Target, built: Path, tmp_path: Path, cluster: CassandraSettings
) -> None:
    other = other_lake(open_served(), built, tmp_path)
    config = with_cluster(other.config, cluster.model_copy(update={"keyspace": served.keyspace}))
    with pytest.raises(UsageError, match="another lake"), open_target(config, other.lake.root, "cassandra"):
        pass
    with open_target(config, other.lake.root, "cassandra", take_over=True) as taken:
        assert taken is not None
        assert taken.take_over
    with open_target(config, open_served().lake.root, "cassandra") as own:
        assert own is not None
        assert not own.take_over


def test_a_question_about_a_lake_is_not_answered_with_the_rows_of_another(
    open_lake: OpenLake,
    target: Target,
    built: Path,
    tmp_path: Path,
    cluster: CassandraSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither by a command nor by a dashboard that was open before. Without a lake there is nothing to mistake."""
    monkeypatch.setattr("cloud_analytics.dashboard.source._OWN", 0.0)
    mine, other = open_lake(), other_lake(open_lake(), built, tmp_path)
    config = with_cluster(mine.config, cluster)
    mine.serve()
    refused = pytest.raises(UsageError, match=r"keyspace \w+ holds the rows of another lake \(.*/lake\): ")
    with refused as told, open_session(config, other.lake.root, "cassandra"):
        pass
    assert "\n" not in str(told.value)
    with Source(config, mine.lake.root, "cassandra") as pages:
        assert ask(pages.session, "daily-costs", "org_a").rows
        serve(other.lake, replace(target, take_over=True))
        with pytest.raises(UsageError, match=r"another lake \(.*/other\)"):
            pages.session  # noqa: B018
    with (
        pytest.raises(UsageError, match=r"another lake \(.*/other\)"),
        open_session(config, mine.lake.root, "cassandra"),
    ):
        pass
    for lake in (other.lake.root, str(tmp_path / "none")):
        with open_session(config, lake, "cassandra") as session:
            assert ask(session, "daily-costs", "org_a").rows


def with_cluster(config: Config, cluster: CassandraSettings) -> Config:
    serving = config.pipeline.serving.model_copy(update={"cassandra": cluster})
    return config.model_copy(update={"pipeline": config.pipeline.model_copy(update={"serving": serving})})


def test_a_late_write_of_an_earlier_load_changes_nothing(open_served: OpenLake, served: Target) -> None:
    with served.session() as session:
        early = min(writetimes(served)) - 1
        (document,) = state_of(open_served().lake)
        never_stored(open_served().lake, document)
        open_served().serve()  # the slices are now cleared up to a later moment
        session.execute(
            "INSERT INTO finops_daily_usage (org_id, usage_date, service, total_cost_usd)"
            f" VALUES ('org_a', '2025-05-21', 'late', 1) USING TIMESTAMP {early}"
        )
    assert unequal(open_served()) == []


def test_rows_are_written_again_before_they_expire(open_served: OpenLake, served: Target) -> None:
    pipeline = open_served()
    before = max(writetimes(served))
    (path,) = state_of(pipeline.lake)
    document = Document(path, Loaded, Loaded())
    state = pipeline.lake.load(document)
    age = 46 * 86_400 * 1_000_000
    old = {p: (content, at - age) for p, (content, at) in state.partitions["org_daily_usage_by_service"].items()}
    partitions = {**state.partitions, "org_daily_usage_by_service": old}
    with pipeline.lake.transaction() as transaction:
        transaction.store(document, replace(state, partitions=partitions))
    assert set(open_served().serve().served) == {"finops_daily_usage"}
    assert min(writetimes(served)) > before
    assert open_served().serve().served == {}


def test_a_table_that_was_dropped_comes_back(open_lake: OpenLake, target: Target) -> None:
    open_lake().serve()
    with writing_session(target) as session:
        ids = found_tables(session, target.keyspace)
        session.execute("DROP TABLE carbon_daily")
    assert open_lake().serve().served["carbon_daily"] > 0
    assert unequal(open_lake()) == []
    with writing_session(target) as session:
        found = found_tables(session, target.keyspace)
        assert {name for name in found if found[name].fingerprint != ids[name].fingerprint} == {"carbon_daily"}


def test_a_load_that_failed_half_way_is_finished_by_the_next(
    open_lake: OpenLake, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloud_analytics.serving import loader
    from cloud_analytics.serving import write as writing

    write, calls = writing.upsert, []

    def fail_on_the_third(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise StoreUnavailable("the node went away")
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loader, "upsert", fail_on_the_third)
    with pytest.raises(StoreUnavailable, match="went away"):
        serve(open_lake().lake, target)
    monkeypatch.undo()
    assert open_lake().serve().served
    assert unequal(open_lake()) == []


def test_a_first_load_that_dies_after_noting_what_is_loaded_is_not_cleared_by_the_next(
    open_lake: OpenLake, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first load clears whole tables: the one after it must not take for loaded what it is about to clear."""
    pipeline, transactions = open_lake(), 0
    begin = pipeline.lake.transaction

    def die_at_the_third() -> object:
        nonlocal transactions
        transactions += 1
        if transactions == 3:
            raise StoreUnavailable("dies here")
        return begin()

    monkeypatch.setattr(pipeline.lake, "transaction", die_at_the_third)
    with pytest.raises(StoreUnavailable, match="dies here"):
        serve(pipeline.lake, target)
    open_lake().serve()
    assert unequal(open_lake()) == []


def test_a_load_that_died_before_it_noted_its_end_removes_nothing(
    open_lake: OpenLake, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloud_analytics.serving.loader import Loader

    keep = Loader._keep

    def die_at_the_end(loader: Loader, **values: Any) -> None:
        if "complete" in values:
            raise RuntimeError("killed")
        keep(loader, **values)

    monkeypatch.setattr(Loader, "_keep", die_at_the_end)
    with pytest.raises(RuntimeError, match="killed"):
        serve(open_lake().lake, target)
    monkeypatch.undo()
    assert unequal(open_lake()) == []
    open_lake().serve()
    assert unequal(open_lake()) == []
    assert open_lake().serve().served == {}


def test_a_first_load_writes_no_tombstone(open_lake: OpenLake, target: Target) -> None:
    pipeline = open_lake()
    pipeline.serve()
    with target.session() as session:
        nulls = 0
        for table in tables().values():
            result = session.execute(f"SELECT * FROM {table.name}", trace=True)
            nulls += sum(value is None for row in result for value in row.values())
            events = [event.description for event in result.get_query_trace(max_wait_sec=30).events]
            # Only what counts cells: a login that is looked up meanwhile tells of SSTables, too.
            read = [event for event in events if "tombstone cells" in event]
            assert read
            assert all("and 0 tombstone cells" in event for event in read), read
    assert nulls > 0


@pytest.mark.parametrize(
    ("change", "what", "mend"),
    [
        (
            ["ALTER TABLE {t} DROP carbon_kg_per_usd"],
            "lacks carbon_kg_per_usd decimal",
            "ALTER TABLE {t} ADD (carbon_kg_per_usd decimal);",
        ),
        (["ALTER TABLE {t} ADD note text"], "also has note", "ALTER TABLE {t} DROP (note);"),
        (
            ["ALTER TABLE {t} WITH default_time_to_live = 60"],
            "has a TTL of 60 s",
            "ALTER TABLE {t} WITH default_time_to_live = 7776000;",
        ),
        (
            ["DROP TABLE {t}", "CREATE TABLE {t} (org_id text, usage_date date, PRIMARY KEY (org_id, usage_date))"],
            "has another key than ((org_id), usage_date DESC)",
            "DROP TABLE {t};",
        ),
        (
            ["DROP TABLE {t}", "{create}"],
            "has events text instead of bigint",
            "DROP TABLE {t};",
        ),
    ],
    ids=["a column less", "a column more", "another TTL", "another key", "another type"],
)
def test_a_table_of_another_schema_is_told_with_the_statement_that_mends_it(
    node: Direct, change: list[str], what: str, mend: str
) -> None:
    target = local_target(node, "other_schemas")
    name, create = f"{target.keyspace}.carbon_daily", tables()["carbon_daily"].statement()
    other = create.replace("carbon_daily", name).replace("    events bigint", "    events text")
    with writing_session(target) as session:
        for statement in change:
            session.execute(statement.format(t=name, create=other))
    for opened in (partial(writing_session, target), target.looking_session):
        with pytest.raises(UsageError) as failure, opened():
            pass
        told = str(failure.value)
        assert f"{name} {what}: {mend.format(t=name)}" in told
        assert "\n" not in told
    with target.session() as session:
        session.execute(mend.format(t=name))
    with writing_session(target):
        pass  # nothing to complain about


def test_a_question_to_a_table_of_another_schema_is_one_line(node: Direct, target: Target) -> None:
    table = tables()["carbon_daily"]
    typed = table.statement().replace("    events bigint", "    events text")
    for create, told in ((typed, "holds events as another type than bigint"), (None, "Undefined column name coverage")):
        with writing_session(target) as session:
            if create is None:
                session.execute("ALTER TABLE carbon_daily DROP coverage")
            else:
                session.execute("DROP TABLE carbon_daily")
                session.execute(create)
                session.execute("INSERT INTO carbon_daily (org_id, usage_date, events) VALUES ('o', '2025-01-01', 'x')")
            with pytest.raises(PipelineError, match=f"{told}.*`cloud-analytics serve` says what mends it"):
                ask(session, "carbon", "o")
            session.execute("DROP TABLE carbon_daily")


@pytest.mark.slow
def test_a_column_that_went_and_came_back_is_filled_again(open_lake: OpenLake, target: Target) -> None:
    open_lake().serve()
    with target.session() as session:
        session.execute("ALTER TABLE carbon_daily DROP coverage")
        session.execute("ALTER TABLE carbon_daily ADD coverage decimal")
    assert unequal(open_lake()) != []
    open_lake().serve()
    assert unequal(open_lake()) == []


def test_a_damaged_checkpoint_is_thrown_away(open_served: OpenLake, served: Target) -> None:
    pipeline = open_served()
    before = writetimes(served)
    (offsets,) = (Path(pipeline.lake.root) / "_checkpoints").glob("serving_*/offsets")
    (offsets / "0").write_text("v1")
    with served.session() as session:
        session.execute("TRUNCATE revenue_monthly")
    assert set(open_served().serve().served) == {"revenue_monthly"}
    assert writetimes(served) == before


def test_a_change_log_that_was_torn_lost_or_littered_hides_no_change(
    open_lake: OpenLake, target: Target, config: Config
) -> None:
    open_lake().serve()
    log = Path(open_lake().lake.root, CHANGE_LOG)

    def corrected(chosen: Config) -> None:
        pipeline = open_lake(chosen)
        pipeline.target = None
        pipeline.run()

    corrected(without_storage(config))
    newest = max(log.glob("*.json"))
    newest.write_bytes(newest.read_bytes()[:50])
    for name in ("notes.json", "notes.txt"):
        (log / name).write_text("notes")
    assert unequal(open_lake()) != []
    assert plan(open_lake().lake, target).writes > 0
    open_lake().serve()
    assert unequal(open_lake()) == []
    corrected(config)
    shutil.rmtree(log)
    open_lake().serve()
    assert unequal(open_lake()) == []
    assert open_lake().serve().served == {}


def test_a_store_that_dies_during_a_write_ends_the_write(spark: SparkSession, tmp_path: Path) -> None:
    node, table = EmbeddedNode(tmp_path / "_cassandra"), tables()["carbon_daily"]
    with node.in_use() as access:
        mortal = local_target(access)
        with writing_session(mortal) as session:
            threading.Timer(1.0, lambda: os.kill(node.status()["pid"], signal.SIGKILL)).start()
            rows = spark.range(2_000_000).selectExpr(
                "concat('org_', id) as org_id", "date'2025-05-01' as usage_date", "id as events"
            )
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="cannot write carbon_daily"):
                upsert(rows, table, mortal, 1, session)
            assert time.monotonic() - began < 60
    forget_connections(spark)


def test_a_store_that_is_away_is_waited_for_as_long_as_was_asked(
    open_lake: OpenLake, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    from datetime import timedelta

    nowhere = replace(target, access=Direct((HOST,), 1))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="cannot reach Cassandra"):
        serve(open_lake().lake, nowhere, timedelta(seconds=3))
    assert 1 < time.monotonic() - began < 15
    assert "trying again in 1 s" in caplog.messages[0]


def state_of(lake: Lake) -> list[str]:
    return [
        f"_state/{info.name.removesuffix('.json')}"
        for info in lake.files.files("_state")
        if info.name.startswith("serving_")
    ]


def never_stored(lake: Lake, document: str) -> None:
    """As a lake whose version did not store this document."""
    kept = {path: digest for path, digest in lake.load(STORED).items() if path != document}
    lake.files.write_text(f"{STORED.path}.json", json.dumps(kept))
    lake.files.delete(f"{document}.json")
