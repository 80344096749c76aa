from __future__ import annotations

from pathlib import Path

import pytest

from cloud_analytics.lake.uris import absolute, local_folder


@pytest.mark.parametrize(
    "root", ["file:///d/a lake", "file:/d/a lake", "file:///d/a lake/", "/d/a lake", "/d/x/../a lake/"]
)
def test_a_folder_of_this_machine_has_many_names(root: str) -> None:
    assert local_folder(root) == Path("/d/a lake")


def test_spark_gets_a_path_or_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("data/") == str(tmp_path / "data")
    assert absolute("file:/d/lake/") == "file:///d/lake"
    assert absolute("s3a://bucket/lake/") == "s3a://bucket/lake"
    assert local_folder("s3a://bucket/lake") is None
