from __future__ import annotations

import os
import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from cloud_analytics.config import SparkSettings, default_conf_dir, load
from cloud_analytics.errors import ConfigError, UsageError

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


def test_a_file_that_is_nested_too_deeply_is_named(conf: Path) -> None:
    (conf / "taxonomy.yaml").write_text("services: " + "[" * 5_000 + "]" * 5_000, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"taxonomy.yaml: is nested too deeply$"):
        load(conf)


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
    _edit(conf / "focus.yaml", "Generative AI", "Machine Learning")
    assert load(conf).fingerprint() == before
    _edit(conf / "pipeline.yaml", "usd_rate: identity", "usd_rate: as_billed")
    assert load(conf).fingerprint() != before


def test_an_organisations_budget_comes_before_that_of_its_plan(conf: Path) -> None:
    _edit(conf / "budgets.yaml", "organisations: {}", "organisations: {org_a: 1500.50}")
    _edit(conf / "budgets.yaml", "plan_tiers: {}", "plan_tiers: {pro: 900}")
    budgets = load(conf).budgets
    asked = [("org_a", "pro"), ("org_b", "pro"), ("org_b", "free"), ("org_b", None)]
    assert [budgets.of(*pair) for pair in asked] == [Decimal("1500.50"), Decimal(900), None, None]


def test_a_number_is_what_is_written(conf: Path) -> None:
    """YAML 1.1 reads 010 as 8."""
    _edit(conf / "budgets.yaml", "organisations: {}", "organisations: {a: 010, b: 1_0, c: +10, d: 1_0.50}")
    assert load(conf).budgets.organisations == {"a": 10, "b": 10, "c": 10, "d": Decimal("10.5")}


def _problems(conf: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(conf)
    return "\n".join(caught.value.problems)


def test_no_message_shows_what_may_be_a_secret(conf: Path) -> None:
    _edit(conf / "pipeline.yaml", "conf: {}", "conf: {spark.hadoop.fs.s3a.secret.key: HUSH, oops: HUSH}")
    _edit(conf / "pipeline.yaml", "usd_rate: identity", "usd_rate: 'AstraCS:HUSH'")
    text = _problems(conf)
    assert "spark.conf: oops: Spark's settings begin with" in text
    assert "fx.usd_rate: input should be" in text
    assert "HUSH" not in text
    with pytest.raises(ConfigError) as caught:
        SparkSettings().overridden(
            None, ["spark.hadoop.fs.s3a.secret.key HUSH", "spark.b:HUSH", "spark.a.password=HUSH", "x=HUSH"]
        )
    assert "--spark spark.hadoop.fs.s3a.secret.key: expected KEY=VALUE" in str(caught.value)
    assert "HUSH" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("pipeline.yaml", "folder: data/landing", "folder: 2025-13-45", "pipeline.yaml: is not valid YAML"),
        ("pipeline.yaml", "folder: data/landing", "folder: ''", "landing.folder: string should have at least 1 char"),
        (
            "pipeline.yaml",
            "max_line_bytes: 67_108_864",
            "max_line_bytes: 64 MiB",
            "landing.max_line_bytes: input should",
        ),
        ("pipeline.yaml", "max_line_bytes: 67_108_864", "max_line_bytes: 10", "greater than or equal to 1024"),
        ("pipeline.yaml", "follow_links: false", "follow_links: maybe", "landing.follow_links: input should be"),
        ("pipeline.yaml", "follow_links: false", "follow: true", "landing.follow: unknown key"),
        ("pipeline.yaml", "watermark: 2 hours", "watermark: 9999999999 days", "watermark: expected at most"),
        ("pipeline.yaml", "watermark: 2 hours", "watermark: 36501 days", "watermark: expected at most 36500 days"),
        ("pipeline.yaml", "max_files_per_trigger: 500", "max_files_per_trigger: 2147483648", "than or equal to 2147"),
        ("pipeline.yaml", "shuffle_partitions: 4", "shuffle_partitions: 1000000", "than or equal to 100000"),
        ("pipeline.yaml", "watermark: 2 hours", "watermark: -5", "watermark: expected a duration"),
        ("pipeline.yaml", "watermark: 2 hours", "watermark: true", "watermark: expected a duration"),
        ("pipeline.yaml", "driver_memory: 2g", "driver_memory: 200m", "expected megabytes or gigabytes"),
        ("pipeline.yaml", "fx:", "lake: other\nfx:", "the key lake stands twice"),
        ("sources.yaml", "key: [org_id]", "key: [org_name]", "customers_orgs.key: expected org_id alone"),
        ("taxonomy.yaml", "service_aliases: {}", "service_aliases: {Compute: storage}", "means 'compute' already"),
        ("taxonomy.yaml", "service_aliases: {}", "service_aliases: {EC2: compute, ec2: storage}", "ec2: it means"),
        ("taxonomy.yaml", "services: [compute,", "services: [' ', compute,", "services: a word is blank"),
        ("taxonomy.yaml", "{unit: count, max: 1_000_000_000}", "[count]", "metrics.requests: input should be"),
        ("taxonomy.yaml", "max: 100_000}", "max: 0}", "metrics.cpu_hours.max: input should be greater than 0"),
        ("taxonomy.yaml", "max: 100_000}", "max: 1e12}", "metrics.cpu_hours.max: input should be less than"),
        (
            "anomalies.yaml",
            'min_impact_usd: "10"',
            'min_impact_usd: "1e60"',
            "daily.min_impact_usd: input should",
        ),
        ("anomalies.yaml", 'min_impact_usd: "10"', 'min_impact_usd: "1e-60"', "no more than 6 decimal places"),
        ("anomalies.yaml", 'percentile_factor: "2"', 'percentile_factor: "1e30"', "percentile_factor: input should be"),
        ("anomalies.yaml", 'min_ratio: "1.5"', 'min_ratio: "1000"', "level_shift.min_ratio: input should be less than"),
        ("anomalies.yaml", "history_days: 30", f"history_days: {10**20}", "daily.history_days: input should be"),
        ("anomalies.yaml", "recent_days: 7", "recent_days: 99999", "level_shift.recent_days: input should be"),
        ("anomalies.yaml", "min_events: 10", "min_events: 2147483648", "events.min_events: input should be"),
        ("anomalies.yaml", "min_days: 10", "min_days: 31", "min_days: expected at most history_days"),
        (
            "focus.yaml",
            "category: Compute",
            "category: Computing",
            "services.compute: category: 'Computing' is not one",
        ),
        ("focus.yaml", "Other (Storage)", "Other (Compute)", "services.storage: subcategory: 'Other (Compute)' is not"),
        ("focus.yaml", "  genai:", "  ai:", "focus.yaml: services.ai: is not one of compute, storage"),
        ("focus.yaml", "  requests: Requests", "  calls: Calls", "focus.yaml: units.calls: is not one of requests"),
        (
            "budgets.yaml",
            "plan_tiers: {}",
            "plan_tiers: {gold: 100}",
            "plan_tiers.gold: expected one of free",
        ),
        ("budgets.yaml", "organisations: {}", "organisations: {org_a: 0}", "organisations.org_a: input should be"),
        ("budgets.yaml", "organisations: {}", "organisations: {org_a: true}", "organisations.org_a: decimal input"),
        ("budgets.yaml", "organisations: {}", "organisations: {org_a: much}", "organisations.org_a: input should be"),
        ("budgets.yaml", "organisations: {}", "organisations: {org_a: 1:30}", "(found '1:30')"),
        ("budgets.yaml", "organisations: {}", "organisations: {org_a: 1:30.5}", "(found '1:30.5')"),
        ("budgets.yaml", "organisations: {}", "organisations: {a: 20, 'a ': 10}", "the key a stands twice"),
        ("taxonomy.yaml", "max: 100_000}", "max: 1:30:00}", "metrics.cpu_hours.max: input should be"),
        ("pipeline.yaml", "max_line_bytes: 67_108_864", "max_line_bytes: 0x10000", "(found '0x10000')"),
    ],
)
def test_what_could_not_work_is_told(conf: Path, file: str, old: str, new: str, message: str) -> None:
    _edit(conf / file, old, new)
    assert message in _problems(conf)


def test_a_number_may_be_written_with_an_exponent(conf: Path) -> None:
    """Spark takes no number whose exponent is above 0."""
    _edit(conf / "anomalies.yaml", 'min_impact_usd: "10"', 'min_impact_usd: "1E+2"')
    assert str(load(conf).anomalies.daily.min_impact_usd) == "100"


def test_a_folder_that_is_none_is_told_once(tmp_path: Path) -> None:
    assert _problems(tmp_path / "nowhere").count("nowhere") == 1


def test_landing_may_be_its_folder_alone(conf: Path) -> None:
    path = conf / "pipeline.yaml"
    text = re.sub(r"landing:.*?\n(?=lake:)", "landing: /somewhere/else\n", path.read_text("utf-8"), flags=re.DOTALL)
    path.write_text(text, encoding="utf-8")
    landing = load(conf).pipeline.landing
    assert (landing.folder, landing.max_line_bytes, landing.follow_links) == ("/somewhere/else", 64 * 2**20, False)
    for wrong in ("7", "[a, b]", "''"):
        path.write_text(text.replace("/somewhere/else", wrong), encoding="utf-8")
        told = "landing.folder: string should have" if wrong == "''" else "landing: expected a folder, or a section"
        assert told in _problems(conf)


def test_a_metric_may_be_its_unit_alone(conf: Path) -> None:
    _edit(conf / "taxonomy.yaml", "cpu_hours: {unit: hours, max: 100_000}", "cpu_hours: hours\n  clicks:")
    taxonomy = load(conf).taxonomy
    assert (taxonomy.metric_units()["cpu_hours"], taxonomy.metric_units()["clicks"]) == ("hours", "count")
    assert taxonomy.metric_limits() == {"requests": 10**9, "storage_gb_hours": 10**8}


def test_words_of_the_taxonomy_match_whatever_their_case(conf: Path) -> None:
    _edit(conf / "taxonomy.yaml", "cpu_hours: {unit: hours", "CPU_Hours: {unit: Hours")
    assert load(conf).taxonomy.metric_units()["cpu_hours"] == "hours"


def test_a_conf_that_is_away_is_not_replaced_by_the_installed_one(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a mount that is away leaves it: other rules would judge the whole lake, without a word."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOUD_ANALYTICS_CONF", raising=False)
    (conf / "pipeline.yaml").unlink()
    with pytest.raises(ConfigError, match=r"conf/pipeline.yaml: cannot be read .*give the folder with --conf"):
        load()
    shutil.rmtree(conf)
    assert load().pipeline.lake == load(CONF).pipeline.lake
    conf.mkdir()
    (conf / "lost+found").mkdir()
    with pytest.raises(ConfigError, match=r"conf/rules.yaml: cannot be read"):
        load()
    shutil.rmtree(conf)
    for target in ("nowhere", "conf", CONF / "rules.yaml"):
        conf.symlink_to(target)
        with pytest.raises(ConfigError, match="the folder conf cannot be read"):
            load()
        conf.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("given", ["conf", "conf/rules.yaml", "conf/link.yaml", "."])
def test_a_conf_of_another_user_in_the_current_folder_is_refused(
    given: str, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings can name code that Spark runs, and nobody has asked for this folder."""
    monkeypatch.chdir(conf.parent)
    monkeypatch.delenv("CLOUD_ANALYTICS_CONF", raising=False)
    Path("conf/link.yaml").symlink_to("focus.yaml")  # a stranger could lead it elsewhere
    assert default_conf_dir() == Path("conf")
    os.chown(given, 12345, 12345, follow_symlinks=False)
    with pytest.raises(
        UsageError, match=rf"{re.escape(str(Path(given).absolute()))} belongs to another user.*give --conf conf,"
    ) as told:
        load()
    assert "\n" not in str(told.value)
    assert load(Path("conf")).pipeline.lake == load(CONF).pipeline.lake  # `--conf conf` has asked for it
    monkeypatch.setenv("CLOUD_ANALYTICS_CONF", "conf")
    assert default_conf_dir() == Path("conf")
