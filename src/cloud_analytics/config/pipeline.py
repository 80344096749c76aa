"""conf/pipeline.yaml: where the data is, how Spark runs, and where Gold is served."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from cloud_analytics.config.section import LARGEST_INT, Duration, Section
from cloud_analytics.config.spark import SparkSettings

KEYSPACE_NAME = r"[a-z][a-z0-9_]{0,47}"

DatacenterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class StreamSettings(Section):
    """The speed layer: the size of a micro-batch, what counts as late, and when small files are merged."""

    max_files_per_trigger: int = Field(500, ge=1, le=LARGEST_INT)
    watermark: Duration = timedelta(hours=2)
    late_alert_share: float = Field(0.5, ge=0, le=1)
    max_parts: int = Field(64, ge=2)


class CompactionSettings(Section):
    """When `reconcile --compact` merges the micro-batches of a date in Bronze."""

    finished_after: Duration = timedelta(days=2)
    min_files: int = Field(4, ge=2)
    max_rows_per_file: int = Field(5_000_000, ge=1, le=LARGEST_INT)


class FxSettings(Section):
    """Foreign exchange: `identity` converts USD invoices at rate 1, `as_billed` at the rate in the file."""

    usd_rate: Literal["identity", "as_billed"] = "identity"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a host name, which may be resolved to any address
        return host == "localhost"


class CassandraSettings(Section):
    """The target `cassandra`: a cluster with its contact points. User name and password are secrets, not settings.

    With `replication` (data centre → number of replicas), a missing keyspace is created; otherwise it is an error.
    A password is sent to other machines only over TLS (`ca_file`), unless `plaintext` is true.
    """

    contact_points: list[str] = Field(["127.0.0.1"], min_length=1)
    port: int = Field(9042, ge=1, le=65535)
    datacenter: str = Field("datacenter1", min_length=1)
    keyspace: str = Field("cloud_analytics", pattern=f"^{KEYSPACE_NAME}$")
    replication: dict[DatacenterName, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    ca_file: Path | None = None
    plaintext: bool = False
    requests_per_second: int | None = Field(None, ge=1, le=LARGEST_INT)

    @model_validator(mode="after")
    def _fits_together(self) -> CassandraSettings:
        if self.replication and self.datacenter not in self.replication:
            raise ValueError(f"replication: LOCAL_QUORUM needs replicas in the data centre '{self.datacenter}'")
        if self.plaintext and self.ca_file is not None:
            raise ValueError("plaintext: true, and a ca_file, which turns TLS on: give one of them")
        return self

    @property
    def is_local(self) -> bool:
        """Whether all contact points are on this machine."""
        return all(map(is_loopback, self.contact_points))

    def strategy(self) -> dict[str, str] | None:
        """The CQL replication options of a keyspace that the package creates; None if it may not create a keyspace."""
        replicas = {name: str(number) for name, number in self.replication.items()}
        return {"class": "NetworkTopologyStrategy", **replicas} if replicas else None


class AstraSettings(Section):
    """The target `astra`: how many requests it takes per second, and how many writes per month are paid for."""

    requests_per_second: int = Field(4_000, ge=1, le=LARGEST_INT)
    monthly_writes: int = Field(5_000_000, ge=1)


class ServingSettings(Section):
    """Where Gold is served, and for how long requests to a store that does not answer are repeated."""

    target: Literal["embedded", "cassandra", "astra", "none"] = "embedded"
    patience: Duration = timedelta(minutes=1)
    cassandra: CassandraSettings = CassandraSettings()
    astra: AstraSettings = AstraSettings()


class LandingSettings(Section):
    """Where source files arrive, and which of them are read."""

    folder: str = Field("data/landing", min_length=1)
    max_line_bytes: int = Field(64 * 2**20, ge=1024, le=2**30)
    max_master_bytes: int = Field(64 * 2**20, ge=4096)
    follow_links: bool = False

    @property
    def max_record_bytes(self) -> int:
        """The most bytes of a record of a master: Silver holds a rejected record many times over."""
        return min(self.max_line_bytes, self.max_master_bytes // 4)

    @property
    def max_master_lines(self) -> int:
        """The most lines in all files of a master: each takes some hundred bytes in memory, however short it is."""
        return self.max_master_bytes // 64


def _as_landing(given: object) -> object:
    """Accept a folder alone as the section `landing`."""
    if isinstance(given, str):
        return {"folder": given}
    if not isinstance(given, dict | LandingSettings):
        raise ValueError("expected a folder, or a section that holds `folder`")
    return given


class PipelineSettings(Section):
    """conf/pipeline.yaml."""

    landing: Annotated[LandingSettings, BeforeValidator(_as_landing)] = LandingSettings()
    lake: str = Field("data", min_length=1)
    spark: SparkSettings = SparkSettings()
    stream: StreamSettings = StreamSettings()
    compaction: CompactionSettings = CompactionSettings()
    fx: FxSettings = FxSettings()
    serving: ServingSettings = ServingSettings()
