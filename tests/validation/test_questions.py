"""M4 on a real node: true of what `serve` loaded, false of each question that does not answer, with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.checks import Check, Verdict
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.target import local_target
from cloud_analytics.validation.milestones import QUESTIONS, answered

pytestmark = [pytest.mark.spark, pytest.mark.cassandra]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNode]:
    node = EmbeddedNode(tmp_path_factory.mktemp("node") / "_cassandra")
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def served(node: EmbeddedNode, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A copy of the lake, with its target; the tests below serve it, and damage what was served."""
    folder = tmp_path_factory.mktemp("questions") / "lake"
    shutil.copytree(pipeline.lake.root, folder)
    lake = Lake(pipeline.lake.spark, str(folder))
    return Pipeline(lake, pipeline.landing, pipeline.config, target=local_target(node.start()))


def ask(served: Pipeline, open_session: Callable[[], AbstractContextManager[Any]] | None = None) -> Check:
    assert served.target is not None
    return answered(LakeReader(served.lake.files), open_session or served.target.session)


def execute(served: Pipeline, *statements: str) -> None:
    assert served.target is not None
    with served.target.session() as session:
        for statement in statements:
            session.execute(statement)


def failures(check: Check) -> dict[str, str]:
    found = {name: figures["failure"] for name, figures in check.figures["questions"].items()}
    assert list(found) == [name for name in QUESTIONS if name in found]
    assert check.verdict is (Verdict.FALSE if any(found.values()) else Verdict.HOLDS)
    return {name: reason for name, reason in found.items() if reason}


def test_what_was_never_served_is_asked_of_gold(served: Pipeline) -> None:
    for check in (
        answered(LakeReader(served.lake.files), None),
        ask(served),
    ):  # without a store, and a store without the keyspace
        assert failures(check) == {}
        assert check.evidence.startswith("from Gold: nothing is served")


def test_what_was_served_answers(served: Pipeline) -> None:
    served.serve()
    check = ask(served)
    assert failures(check) == {}
    assert check.evidence.startswith("from the serving tables, compared with Gold; daily-costs ")
    assert all(figures["rows_in_gold"] > 0 for figures in check.figures["questions"].values())


def test_a_table_that_is_missing_makes_its_question_false_until_it_is_served_again(served: Pipeline) -> None:
    execute(served, "DROP TABLE support_tickets_summary")
    check = ask(served)
    assert failures(check) == {
        "tickets": "table support_tickets_summary does not exist: run `cloud-analytics serve`, which makes and fills"
        " what is missing"
    }
    assert "FAILED: tickets (table support_tickets_summary does not exist" in check.evidence
    served.serve()
    assert failures(ask(served)) == {}


def test_rows_that_are_not_golds_make_it_false(served: Pipeline) -> None:
    org = ask(served).figures["questions"]["genai"]["org_id"]
    execute(
        served,
        f"INSERT INTO genai_usage_daily (org_id, usage_date, total_tokens) VALUES ('{org}', '2031-01-01', 1)",
        "TRUNCATE revenue_monthly",
    )
    check = ask(served)
    rows = check.figures["questions"]["revenue"]["rows_in_gold"]
    assert failures(check) == {
        "genai": "1 rows only served, 0 only in Gold",
        "revenue": f"0 rows only served, {rows} only in Gold",
    }


def test_wrong_settings_of_the_store_are_a_wrong_call(served: Pipeline) -> None:
    assert served.target is not None
    elsewhere = replace(served.target, keyspace="of_nobody", replication=None)
    with pytest.raises(UsageError, match="has no keyspace 'of_nobody'"):
        ask(served, elsewhere.session)


def test_a_node_that_is_down_makes_all_false(served: Pipeline, node: EmbeddedNode) -> None:
    node.stop()
    check = ask(served)
    found = failures(check)
    assert list(found) == list(QUESTIONS)
    assert len(set(found.values())) == 1
    assert "cannot reach Cassandra at 127.0.0.1" in check.evidence
    assert check.evidence.count("cannot reach") == 1
