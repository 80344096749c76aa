"""The section `spark` of conf/pipeline.yaml, and the settings of Spark on which results depend."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import Field, field_validator

from cloud_analytics.config.section import Section, validated
from cloud_analytics.errors import ConfigError

# With another value for one of these settings, rows differ or a run stops. All but the time zone and the type of
# timestamps in Parquet are Spark's defaults. They are set because a cluster, the environment or an existing session may
# have other values.
RESULT_SETTINGS = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.caseSensitive": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.storeAssignmentPolicy": "ANSI",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    "spark.sql.groupByOrdinal": "true",
    "spark.sql.orderByOrdinal": "true",
    "spark.sql.crossJoin.enabled": "true",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.function.concatBinaryAsString": "false",
    "spark.sql.jsonGenerator.ignoreNullFields": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
    "spark.sql.sources.validatePartitionColumns": "true",
    "spark.sql.sources.partitionOverwriteMode": "STATIC",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.int96TimestampConversion": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.writeLegacyFormat": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.legacy.charVarcharAsString": "true",
    "spark.sql.legacy.timeParserPolicy": "EXCEPTION",
}
LEGACY = "spark.sql.legacy."  # settings for the behaviour of earlier Spark versions; only those above are allowed

LEAST_HEAP_MIB = 512  # Spark refuses to start with less
_MASTER = re.compile(r"^(local(\[(\*|[1-9]\d*)\])?|spark://.+:\d+|yarn|k8s://.+)$")
_SET_ELSEWHERE = {
    "spark.master": "the master is set by `master`, or --master",
    "spark.driver.memory": "it is set by `driver_memory`, or --spark spark.driver.memory=…",
    "spark.sql.session.timeZone": "all timestamps are UTC, whatever the session",
}


def _problem(key: str, value: str) -> str | None:
    """The problem with a setting of `conf`, or None."""
    if key in _SET_ELSEWHERE:
        return f"{key}: {_SET_ELSEWHERE[key]}"
    if not key.startswith("spark."):
        return f"{key}: Spark's settings begin with `spark.`"
    fixed = RESULT_SETTINGS.get(key)
    if key.startswith(LEGACY) and fixed is None:
        return f"{key}: results depend on it; leave it out"
    if fixed is not None and value.lower() != fixed.lower():
        return f"{key}: results depend on it; it stays {fixed}"
    return None


class SparkSettings(Section):
    """How the Spark session is built; `conf` holds further `spark.*` settings."""

    master: str = "local[*]"
    app_name: str = "cloud-analytics"
    driver_memory: str = "2g"
    shuffle_partitions: int = Field(4, ge=1, le=100_000)
    conf: dict[str, str] = Field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether the executors run in the JVM of the driver."""
        return self.master.startswith("local")

    @property
    def driver_memory_mib(self) -> int:
        """The maximum size of the driver's heap in MiB."""
        return int(self.driver_memory[:-1]) * {"m": 1, "g": 1024}[self.driver_memory[-1].lower()]

    @field_validator("driver_memory")
    @classmethod
    def _enough_memory(cls, memory: str) -> str:
        given = cls.model_construct(driver_memory=memory)
        if not re.fullmatch(r"\d+[mgMG]", memory) or given.driver_memory_mib < LEAST_HEAP_MIB:
            raise ValueError(f"expected megabytes or gigabytes such as '900m' or '2g', {LEAST_HEAP_MIB}m at least")
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
        problems = [problem for key, value in conf.items() if (problem := _problem(key, value))]
        if problems:
            raise ValueError("; ".join(problems))
        return conf

    def overridden(self, master: str | None, options: Sequence[str]) -> SparkSettings:
        """A copy with the master URL and KEY=VALUE settings of the command line. ConfigError lists all problems."""
        # Messages show only the key, since the value may be a secret.
        keys = [re.split(r"[\s:]", option.strip())[0] for option in options if "=" not in option]
        problems = [f"--spark {key}: expected KEY=VALUE" for key in keys]
        pairs = dict(option.split("=", 1) for option in options if "=" in option)
        memory = pairs.pop("spark.driver.memory", self.driver_memory)
        changed = {"master": master or self.master, "driver_memory": memory, "conf": {**self.conf, **pairs}}
        settings = validated(SparkSettings, {**self.model_dump(), **changed}, "command line", problems)
        if problems:
            raise ConfigError(problems)
        assert isinstance(settings, SparkSettings)  # `validated` returns None only with a problem
        return settings
