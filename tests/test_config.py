from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloud_analytics.config import load
from cloud_analytics.errors import ConfigError

CONF = Path(__file__).resolve().parents[1] / "conf"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONF, tmp_path / "conf"))


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_problem_is_reported_at_once_with_file_key_and_what_is_allowed(conf: Path) -> None:
    _edit(conf / "pipeline.yaml", "max_files_per_trigger: 500", "max_files_per_trigger: 0\n  speed: 9")
    _edit(conf / "taxonomy.yaml", "us-east: us-east-1", "us-east: the-moon")
    _edit(conf / "sources.yaml", "key: [user_id]", "key: [nothing]")
    with pytest.raises(ConfigError) as caught:
        load(conf)
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    assert "pipeline.yaml: stream.max_files_per_trigger: input should be greater than or equal to 1 (found 0)" in text
    assert "pipeline.yaml: stream.speed: unknown key" in text
    assert "'the-moon' is not one of us-east-1" in text
    assert "sources.yaml: users" in text


def test_a_file_that_is_missing_or_no_yaml_is_named(conf: Path) -> None:
    (conf / "anomalies.yaml").unlink()
    (conf / "taxonomy.yaml").write_text("services: [", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(conf)
    assert any("anomalies.yaml" in problem and "cannot be read" in problem for problem in caught.value.problems)
    assert any("taxonomy.yaml" in problem and "not valid YAML" in problem for problem in caught.value.problems)


def test_a_compaction_setting_is_checked(conf: Path) -> None:
    _edit(conf / "pipeline.yaml", "finished_after: 2 days", "finished_after: soon")
    _edit(conf / "pipeline.yaml", "min_files: 4", "min_files: 1")
    with pytest.raises(ConfigError) as caught:
        load(conf)
    text = "\n".join(caught.value.problems)
    assert "pipeline.yaml: compaction.finished_after: expected a duration" in text
    assert "pipeline.yaml: compaction.min_files: input should be greater than or equal to 2 (found 1)" in text


def test_only_what_decides_figures_is_in_the_fingerprint(conf: Path) -> None:
    before = load(conf).fingerprint()
    _edit(conf / "pipeline.yaml", "max_files_per_trigger: 500", "max_files_per_trigger: 7")
    _edit(conf / "pipeline.yaml", "min_files: 4", "min_files: 40")
    assert load(conf).fingerprint() == before
    _edit(conf / "pipeline.yaml", "usd_rate: identity", "usd_rate: as_billed")
    assert load(conf).fingerprint() != before
