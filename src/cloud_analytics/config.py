"""The configuration: YAML files in `conf/`, validated whole before anything runs.

Every problem is reported at once, each with its file, its key and what is allowed. Secrets are not configuration: they
come from the environment where they are used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from cloud_analytics.errors import ConfigError
from cloud_analytics.quality.rules import EVENTS as EVENTS
from cloud_analytics.quality.rules import Rule, RuleBook, inconsistencies

if TYPE_CHECKING:
    from importlib.abc import Traversable  # importlib.resources.abc from Python 3.11 on; the old place goes in 3.14

MASTERS = (
    "customers_orgs",
    "users",
    "resources",
    "billing_monthly",
    "support_tickets",
    "nps_surveys",
    "marketing_touches",
)
_SECRET = re.compile(r"secret|password|token|credential|access\.?key|AstraCS:", re.IGNORECASE)
KEYSPACE_NAME = r"[a-z][a-z0-9_]{0,47}"
_DURATION = re.compile(r"^\s*(\d+)\s*(second|minute|hour|day)s?\s*$")


def parse_duration(text: str) -> timedelta:
    """`2 hours` → timedelta; ValueError says what is allowed."""
    match = _DURATION.match(text)
    if not match:
        raise ValueError("expected a duration such as '30 seconds', '15 minutes', '2 hours' or '1 day'")
    try:
        return timedelta(**{match.group(2) + "s": int(match.group(1))})
    except OverflowError:
        raise ValueError("expected at most 999999999 days") from None


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))


Duration = Annotated[timedelta, BeforeValidator(_duration)]

DatacenterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_MASTER = re.compile(r"^(local(\[(\*|[1-9]\d*)\])?|spark://.+:\d+|yarn|k8s://.+)$")
_SET_ELSEWHERE = {
    "spark.master": "the master is set by `master`, or --master",
    "spark.sql.session.timeZone": "all timestamps are UTC, whatever the session",
}


class SparkSettings(_Section):
    """How the Spark session is built; `conf` passes any further `spark.*` setting through."""

    master: str = "local[*]"
    app_name: str = "cloud-analytics"
    driver_memory: str = "2g"
    shuffle_partitions: int = Field(4, ge=1)
    conf: dict[str, str] = Field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether driver and executors are one JVM."""
        return self.master.startswith("local")

    @property
    def driver_memory_mib(self) -> int:
        """The most memory that the driver's heap may take."""
        return int(self.driver_memory[:-1]) * {"m": 1, "g": 1024}[self.driver_memory[-1].lower()]

    @field_validator("driver_memory")
    @classmethod
    def _enough_memory(cls, memory: str) -> str:
        if not re.fullmatch(r"\d+[mgMG]", memory) or cls.model_construct(driver_memory=memory).driver_memory_mib < 512:
            raise ValueError("expected megabytes or gigabytes such as '900m' or '2g', 512m at least")
        return memory

    @field_validator("master")
    @classmethod
    def _master_url(cls, master: str) -> str:
        if not _MASTER.match(master):
            raise ValueError("expected local, local[N], local[*], spark://HOST:PORT, yarn or k8s://…")
        return master

    @field_validator("conf")
    @classmethod
    def _spark_keys(cls, conf: dict[str, str]) -> dict[str, str]:
        problems = [f"{key}: {_SET_ELSEWHERE[key]}" for key in conf if key in _SET_ELSEWHERE]
        problems += [f"{key}: Spark's settings begin with `spark.`" for key in conf if not key.startswith("spark.")]
        if problems:
            raise ValueError("; ".join(problems))
        return conf

    def overridden(self, master: str | None, options: Sequence[str]) -> SparkSettings:
        """With what the command line gives: a master URL, and KEY=VALUE settings; ConfigError holds all problems."""
        # What follows the key may be a secret.
        keys = [re.split(r"[\s:]", option.strip())[0] for option in options if "=" not in option]
        problems = [f"--spark {key}: expected KEY=VALUE" for key in keys]
        pairs = dict(option.split("=", 1) for option in options if "=" in option)
        changed = {"conf": {**self.conf, **pairs}, **({"master": master} if master else {})}
        settings = _validated(SparkSettings, {**self.model_dump(), **changed}, "command line", problems)
        if problems:
            raise ConfigError(problems)
        assert isinstance(settings, SparkSettings)  # None comes with a problem
        return settings


class StreamSettings(_Section):
    """The speed layer: size of a micro-batch, and what counts as late."""

    max_files_per_trigger: int = Field(500, ge=1)
    watermark: Duration = timedelta(hours=2)
    late_alert_share: float = Field(0.5, ge=0, le=1)


class CompactionSettings(_Section):
    """When `reconcile --compact` merges the micro-batches of a date in Bronze."""

    finished_after: Duration = timedelta(days=2)
    min_files: int = Field(4, ge=2)
    max_rows_per_file: int = Field(5_000_000, ge=1)


class FxSettings(_Section):
    """Foreign exchange: `identity` bills USD at rate 1, `as_billed` at the file's rate."""

    usd_rate: Literal["identity", "as_billed"] = "identity"


class CassandraSettings(_Section):
    """The target `cassandra`: a cluster, reached at its contact points; user name and password are secrets.

    `replication` (data centre → number of replicas) creates a missing keyspace; without it a missing one is an error.
    """

    contact_points: list[str] = Field(["127.0.0.1"], min_length=1)
    port: int = Field(9042, ge=1, le=65535)
    datacenter: str = Field("datacenter1", min_length=1)
    keyspace: str = Field("cloud_analytics", pattern=f"^{KEYSPACE_NAME}$")
    replication: dict[DatacenterName, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    ca_file: Path | None = None
    requests_per_second: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _local_replicas(self) -> CassandraSettings:
        if self.replication and self.datacenter not in self.replication:
            raise ValueError(f"replication: LOCAL_QUORUM needs replicas in the data centre '{self.datacenter}'")
        return self

    def strategy(self) -> dict[str, str] | None:
        """The replication with which a missing keyspace is created, as CQL names it."""
        replicas = {name: str(number) for name, number in self.replication.items()}
        return {"class": "NetworkTopologyStrategy", **replicas} if replicas else None


class AstraSettings(_Section):
    """The target `astra`: what it takes in a second, and how many writes a month are paid for."""

    requests_per_second: int = Field(4_000, ge=1)
    monthly_writes: int = Field(5_000_000, ge=1)


class ServingSettings(_Section):
    """Where Gold is served, and for how long a store that does not answer is tried again."""

    target: Literal["embedded", "cassandra", "astra", "none"] = "embedded"
    patience: Duration = timedelta(minutes=1)
    cassandra: CassandraSettings = CassandraSettings()
    astra: AstraSettings = AstraSettings()


class PipelineSettings(_Section):
    """conf/pipeline.yaml."""

    landing: str = Field("data/landing", min_length=1)
    lake: str = Field("data", min_length=1)
    spark: SparkSettings = SparkSettings()
    stream: StreamSettings = StreamSettings()
    compaction: CompactionSettings = CompactionSettings()
    fx: FxSettings = FxSettings()
    serving: ServingSettings = ServingSettings()


def _spellings(words: Sequence[str], aliases: Mapping[str, str]) -> list[tuple[str, str]]:
    """What may be written, as it is compared (lower-cased, without blanks around it), with the word it means."""
    return [(text.strip().lower(), word) for text, word in [*zip(words, words), *aliases.items()]]


class Taxonomy(_Section):
    """conf/taxonomy.yaml: services, regions and metrics, with the aliases that may be written for them."""

    services: list[str] = Field(min_length=1)
    service_aliases: dict[str, str] = Field(default_factory=dict)
    regions: list[str] = Field(min_length=1)
    region_aliases: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, str | None] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Taxonomy:
        problems = []
        for name, words, aliases in (
            ("service", self.services, self.service_aliases),
            ("region", self.regions, self.region_aliases),
            ("metric", list(self.metrics), {}),
        ):
            problems += [
                f"{name}_aliases.{alias}: '{target}' is not one of {', '.join(words)}"
                for alias, target in aliases.items()
                if target not in words
            ]
            meanings: dict[str, str] = {}
            for spelt, meant in _spellings(words, aliases):
                if not spelt:
                    problems.append(f"{name}s: a word is blank")
                elif meanings.setdefault(spelt, meant) != meant:
                    problems.append(f"{name} {spelt}: it means '{meanings[spelt]}' already")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def service_words(self) -> dict[str, str]:
        """Every accepted spelling of a service, lower-cased, with the service it means."""
        return dict(_spellings(self.services, self.service_aliases))

    def region_words(self) -> dict[str, str]:
        """Every accepted spelling of a region, lower-cased, with its region_code."""
        return dict(_spellings(self.regions, self.region_aliases))

    def metric_units(self) -> dict[str, str]:
        """Metric → its unit, both lower-cased; a metric without one is counted."""
        return {metric.strip().lower(): (unit or "count").strip().lower() for metric, unit in self.metrics.items()}


class EventAnomalySettings(_Section):
    """Parameters of the event detectors (SPEC 7)."""

    min_events: int = Field(10, ge=2)
    zscore_threshold: float = Field(3.0, gt=0)
    mad_threshold: float = Field(6.0, gt=0)
    percentile: Decimal = Field(Decimal("0.95"), gt=0, lt=1)
    percentile_factor: Decimal = Field(Decimal("2"), gt=0)
    unit_price_threshold: float = Field(4.0, gt=0)
    consensus: int = Field(2, ge=1, le=3)


class DailyAnomalySettings(_Section):
    """Parameters of the daily detector (SPEC 7)."""

    history_days: int = Field(30, ge=1)
    min_days: int = Field(10, ge=1)
    score_threshold: float = Field(5.0, gt=0)
    min_impact_usd: Decimal = Field(Decimal("10"), ge=0)

    @model_validator(mode="after")
    def _history_is_enough(self) -> DailyAnomalySettings:
        if self.min_days > self.history_days:
            raise ValueError(f"min_days: expected at most history_days, which is {self.history_days}")
        return self


class WeekdaySettings(_Section):
    """When a day costs what its weekday usually does."""

    weeks: int = Field(8, ge=1, le=52)
    min_days: int = Field(3, ge=1)
    max_ratio: float = Field(2.0, gt=0)


class LevelShiftSettings(_Section):
    """When the last days lie on a higher level than the days before them."""

    recent_days: int = Field(7, ge=2)
    history_days: int = Field(28, ge=2)
    min_days: int = Field(10, ge=2)
    score_threshold: float = Field(5.0, gt=0)
    min_ratio: Decimal = Field(Decimal("1.5"), ge=1)
    min_impact_usd: Decimal = Field(Decimal("10"), ge=0)


class TrendSettings(_Section):
    """When costs have been drifting upwards."""

    days: int = Field(30, ge=6, le=366)
    min_days: int = Field(20, ge=6)
    score_threshold: float = Field(2.5, gt=0)
    min_ratio: Decimal = Field(Decimal("1.5"), ge=1)
    min_impact_usd: Decimal = Field(Decimal("10"), ge=0)


class DailySignalSettings(_Section):
    """Parameters of the signals beside the daily verdict (docs/anomalies.md)."""

    weekday: WeekdaySettings = WeekdaySettings()
    level_shift: LevelShiftSettings = LevelShiftSettings()
    trend: TrendSettings = TrendSettings()


class AnomalySettings(_Section):
    """conf/anomalies.yaml."""

    events: EventAnomalySettings = EventAnomalySettings()
    daily: DailyAnomalySettings = DailyAnomalySettings()
    signals: DailySignalSettings = DailySignalSettings()


class SourceContract(_Section):
    """One CSV master: natural key, columns its header must hold, closed vocabularies."""

    key: list[str] = Field(min_length=1)
    required: list[str] = Field(min_length=1)
    vocabularies: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _columns_exist(self) -> SourceContract:
        lacking = [column for column in {*self.key, *self.vocabularies} if column not in self.required]
        if lacking:
            raise ValueError(f"not among `required`: {', '.join(sorted(lacking))}")
        return self


class Config(_Section):
    """The whole configuration, valid."""

    pipeline: PipelineSettings
    taxonomy: Taxonomy
    anomalies: AnomalySettings
    sources: dict[str, SourceContract]
    rules: RuleBook

    def rules_of(self, source: str) -> list[Rule]:
        """Every rule of a source in the order of precedence."""
        contract = self.sources.get(source)
        return self.rules.of(source, list(contract.vocabularies) if contract else [])

    def with_files_per_trigger(self, files: int) -> Config:
        """The same, with another number of files a micro-batch at most."""
        stream = self.pipeline.stream.model_copy(update={"max_files_per_trigger": files})
        return self.model_copy(update={"pipeline": self.pipeline.model_copy(update={"stream": stream})})

    def fingerprint(self) -> str:
        """Hash of everything that decides what Silver and Gold hold; not where and how it runs, nor wording."""
        decisive = self.model_dump(mode="json", exclude={"rules"})
        decisive["pipeline"] = {"fx": decisive["pipeline"]["fx"]}
        decisive["rules"] = self.rules.without_messages()
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


# A key that several rows share would multiply the events that are joined.
_JOINED_BY = {"customers_orgs": "org_id", "resources": "resource_id", "users": "user_id"}
_FILES: dict[str, type[BaseModel]] = {
    "pipeline": PipelineSettings,
    "taxonomy": Taxonomy,
    "anomalies": AnomalySettings,
    "rules": RuleBook,
}


def default_conf_dir() -> Path | Traversable:
    """`CLOUD_ANALYTICS_CONF`, else `./conf`, else the configuration that ships with the package."""
    if "CLOUD_ANALYTICS_CONF" in os.environ:
        return Path(os.environ["CLOUD_ANALYTICS_CONF"])
    if Path("conf/pipeline.yaml").is_file():
        return Path("conf")
    packaged = files("cloud_analytics") / "conf"  # also inside a wheel that was not unpacked
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "conf"


def load(conf_dir: Path | None = None) -> Config:
    """Read and validate every file of `conf_dir`; ConfigError lists all problems at once."""
    folder = conf_dir or default_conf_dir()
    if not folder.is_dir():
        raise ConfigError([f"the folder {folder} cannot be read: give the one that holds pipeline.yaml with --conf"])
    problems: list[str] = []
    parts: dict[str, Any] = {}
    for name, model in _FILES.items():
        raw = _read_yaml(folder / f"{name}.yaml", problems)
        if raw is not None:
            parts[name] = _validated(model, raw, f"{name}.yaml", problems)
        if raw is not None and name == "rules":
            problems += [f"rules.yaml: {problem}" for problem in inconsistencies(raw, MASTERS)]
    raw_sources = _read_yaml(folder / "sources.yaml", problems)
    if raw_sources is not None:
        for name in sorted(set(MASTERS) ^ set(raw_sources)):
            problems.append(
                f"sources.yaml: {name}: " + ("is missing" if name in MASTERS else f"allowed are {', '.join(MASTERS)}")
            )
        parts["sources"] = {
            name: _validated(SourceContract, raw, "sources.yaml", problems, prefix=f"{name}.")
            for name, raw in raw_sources.items()
        }
        problems += [
            f"sources.yaml: {name}.key: expected {key} alone, by which events are joined"
            for name, key in _JOINED_BY.items()
            if (contract := parts["sources"].get(name)) is not None and contract.key != [key]
        ]
    if problems:
        raise ConfigError(problems)
    return Config(**parts)


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, and not the last one's."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and keys.count((key.tag, key.value)) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} stands twice", key.start_mark)
        return node


def _read_yaml(path: Path | Traversable, problems: list[str]) -> dict[str, Any] | None:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror}); give the folder with --conf")
        return None
    except (yaml.YAMLError, ValueError) as error:  # also of a date that is none
        where, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", ""))
        line = f" at line {where.line + 1}" if where else ""
        ours = f": {problem}" if problem.endswith("stands twice") else ""  # YAML's own may show a value
        problems.append(f"{path}: is not valid YAML{line}{ours}")
        return None
    if not isinstance(raw, dict):
        problems.append(f"{path}: must hold keys and values")
        return None
    return raw


def _validated(model: type[BaseModel], raw: Any, file: str, problems: list[str], prefix: str = "") -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        for item in error.errors():
            key = prefix + ".".join(_named(raw, item["loc"]))
            problems.append(": ".join(filter(None, (file, key.rstrip("."), _allowed(key, item)))))
        return None


def _named(raw: Any, location: tuple[int | str, ...]) -> list[str]:
    """The parts of a key; an item of a list goes by its id, where it has one."""
    parts = []
    for part in location:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            raw = None
        name = raw.get("id") if isinstance(part, int) and isinstance(raw, dict) else None
        parts.append(str(part if name is None else name))
    return parts


def _allowed(key: str, item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown key"
    message, found = str(item["msg"]).removeprefix("Value error, "), item["input"]
    told = f"{message[0].lower()}{message[1:]}"
    # Neither whole sections, nor what may be a secret in the wrong place.
    if isinstance(found, dict | list) or _SECRET.search(f"{key} {found}"):
        return told
    return f"{told} (found {found!r})"
