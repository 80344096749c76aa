"""A person's session: one folder with generated landing data, a lake that has run and is served, and calls on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from pyspark.sql import SparkSession

from cloud_analytics import session as sessions
from cloud_analytics.cli import cli
from cloud_analytics.serving.node import EmbeddedNode
from tests.conftest import REPOSITORY

SIZE = ("--events", "1500", "--days", "14", "--orgs", "4", "--dirty")  # a fresh clone's own data would take a minute

# What documents leave to the reader, and what stands there in the session; the first three are a row that it holds.
PLACEHOLDERS = {
    "ORG": "", "DATE": "", "SERVICE": "",
    "DIR": "data/landing", "LANDING": "data/landing", "LAKE": "data", "OUT": "out",
}  # fmt: skip


@dataclass(frozen=True)
class Session:
    """The folder in which commands are called (the current one), and a row of the daily mart that exists."""

    folder: Path
    org: str
    date: str
    service: str

    def filled(self, words: Sequence[str]) -> list[str]:
        """A command with what its placeholders stand for."""
        chosen = {"ORG": self.org, "DATE": self.date, "SERVICE": self.service}
        return [chosen.get(word, PLACEHOLDERS.get(word, word)) for word in words]


def call(words: Sequence[str]) -> Result:
    """`cloud-analytics …` in this process."""
    assert words[0] == "cloud-analytics"
    return CliRunner().invoke(cli, list(words[1:]), prog_name=words[0])


@pytest.fixture(scope="package")
def session(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Set up as the README says: generate, run; and a node that stays until it is told to stop."""
    folder = tmp_path_factory.mktemp("session")
    for name in ("conf", "benchmarks", "notebooks"):
        (folder / name).symlink_to(REPOSITORY / name)
    shutil.copytree(REPOSITORY / "docs", folder / "docs")  # some commands write into it
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        # Commands share the session of all tests, and leave it running.
        patch.setattr(sessions, "build_session", lambda *_, **__: spark)
        patch.setattr(SparkSession, "stop", lambda _: None)
        os.chdir(folder)
        try:
            for words in (("generate", "--out", "data/landing", *SIZE), ("cassandra", "start"), ("run",)):
                done = call(("cloud-analytics", *words))
                assert done.exit_code == 0, f"{words}: {done.output} {done.exception!r}"
            row = pq.read_table("data/gold/org_daily_usage_by_service").slice(0, 1).to_pylist()[0]
            yield Session(folder, row["org_id"], str(row["usage_date"]), row["service"])
        finally:
            EmbeddedNode(folder / "data" / "_cassandra").stop()
            os.chdir(before)
