"""The embedded node: a real Apache Cassandra of one lake, started from Maven jars; it outlives who starts it.

Everything lies in `<lake>/_cassandra`: `conf/` (written at each start), `data/`, `logs/`, and `node.json` with the
ports that were chosen at the first start. Whether it lives is known from a lock that the daemon itself holds (it
inherits the open file): the kernel takes it back at the moment of death, so no stale pid file and no reused pid lies.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.runtime.filelock import FileLock, is_locked
from cloud_analytics.runtime.jars import cache_folder, cassandra_classpath
from cloud_analytics.runtime.java import require_java
from cloud_analytics.serving import daemon

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_MARKER = "-Dcloud_analytics.home="


@dataclass(frozen=True)
class NodeSettings:
    """How the node runs; `extra_yaml` extends and overrides cassandra.yaml, where None removes a key."""

    heap_mb: int = 384
    start_timeout: float = 120.0
    stop_timeout: float = 30.0
    extra_yaml: Mapping[str, Any] = field(default_factory=dict)
    jvm_options: tuple[str, ...] = ()


class EmbeddedNode:
    """The node of one lake; any number of processes may start, use and stop it."""

    def __init__(self, home: Path, settings: NodeSettings | None = None) -> None:
        self.home = Path(home).absolute()
        self.settings = settings or NodeSettings()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Have the node running until `stop`, and return its CQL port; returns at once if it runs already.

        Raises PipelineError if it does not answer in time, UsageError if Java or the jars cannot be had.
        """
        port = self._running()
        self._keep(stays=True)
        return port

    @contextmanager
    def in_use(self) -> Iterator[int]:
        """Have the node running meanwhile, on this CQL port. Its last user ends it, unless it was told to `start`."""
        users = FileLock(self.home / "users.lock", shared=True)
        with contextlib.ExitStack() as using:
            with self._writable():
                using.enter_context(users)
            try:
                yield self._running()
            finally:
                if not self._kept().get("stays") and users.take(alone=True):  # nobody else uses it
                    self.stop()

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise UsageError(
                f"the embedded Cassandra node cannot write to {self.home} ({error.strerror}): give another folder with"
                " --lake, or another target with --serving"
            ) from None

    def _running(self) -> int:
        with self._writable():
            for folder in ("conf/triggers", "logs"):
                (self.home / folder).mkdir(parents=True, exist_ok=True)
        port = self._kept().get("native_port")
        if self._alive() and port and daemon.answers(HOST, port):
            return int(port)
        java, classpath = require_java().home / "bin" / "java", cassandra_classpath()
        deadline = time.monotonic() + self.settings.start_timeout
        # The second lock is for the nodes of other lakes: until this one answers, none may choose the same ports.
        with self._one_starter(), FileLock(cache_folder() / "ports.lock", self._patience):
            for _ in range(3):
                if not self._alive():
                    logger.debug("starting the embedded Cassandra node")
                    self._launch(java, classpath)
                port = self._kept().get("native_port")
                if port is None:
                    raise PipelineError(
                        f"{self.home}/node.json was lost: run `cloud-analytics cassandra stop`, then start"
                    )
                if self._wait_until_it_answers(port, deadline):
                    return int(port)
                if self._free_ports() == self._ports():
                    break
                # Someone took a port between its choice and its use: choose again.
        raise PipelineError(f"the Cassandra node ended while it started: see {self._log} and {self._output}")

    def stop(self) -> bool:
        """End the node (SIGTERM, later SIGKILL); False if none ran. No acknowledged write is lost either way."""
        if not self.home.is_dir():
            return self._end_orphan()
        with self._one_starter():
            if self._kept():
                self._keep(stays=False)
            if not self._alive():
                return self._end_orphan()
            for sign, patience in ((signal.SIGTERM, self.settings.stop_timeout), (signal.SIGKILL, 10.0)):
                pid = self._pid()
                if pid is not None:
                    daemon.send(pid, sign)
                until = time.monotonic() + patience
                while time.monotonic() < until:
                    if not self._alive():
                        return True
                    time.sleep(0.05)
        raise PipelineError(f"the Cassandra node (process {self._pid()}) does not end: end it by hand, then try again")

    def status(self) -> dict[str, Any]:
        """Whether it answers, where, and its process: `port` and `pid` are None where they are not known."""
        alive, port = self._alive(), self._kept().get("native_port")
        return {
            "running": bool(alive and port and daemon.answers(HOST, port)),
            "host": HOST,
            "port": port,
            "pid": self._pid() if alive else None,
        }

    @property
    def has_data(self) -> bool:
        """Whether the node was ever started."""
        return (self.home / "data").is_dir()

    @property
    def _log(self) -> Path:
        return self.home / "logs" / "system.log"

    @property
    def _output(self) -> Path:
        return self.home / "logs" / "output.log"

    @property
    def _patience(self) -> float:
        return 2 * self.settings.start_timeout + self.settings.stop_timeout

    def _one_starter(self) -> FileLock:
        return FileLock(self.home / "start.lock", self._patience)

    def _ports(self) -> list[int | None]:
        return [self._kept().get(name) for name in ("native_port", "storage_port")]

    def _free_ports(self) -> list[int]:
        return daemon.free_ports(HOST, self._ports())

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        return is_locked(self.home / "daemon.lock")

    def _pid(self) -> int | None:
        """The daemon's process, recognised by its command line: from the state, else looked for among all."""
        return daemon.find(_MARKER + str(self.home), self._kept().get("pid"))

    def _end_orphan(self) -> bool:
        """End a daemon whose home was deleted under it: it lives, holds memory and ports, and nobody can use it."""
        pid = daemon.find(_MARKER + str(self.home))
        if pid is None or self._alive():
            return False
        daemon.send(pid, signal.SIGKILL)
        while daemon.find(_MARKER + str(self.home), pid) == pid:
            time.sleep(0.02)
        return True

    def _kept(self) -> dict[str, Any]:
        try:
            kept = json.loads((self.home / "node.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _keep(self, **values: Any) -> None:
        aside = self.home / "node.json.part"
        aside.write_text(json.dumps({**self._kept(), **values}, indent=1), encoding="utf-8")
        os.replace(aside, self.home / "node.json")

    def _launch(self, java: Path, classpath: list[Path]) -> None:
        self._end_orphan()
        ports = self._free_ports()
        self._keep(native_port=ports[0], storage_port=ports[1], pid=None)
        self._configure(*ports)
        shutil.rmtree(self.home / "tmp", ignore_errors=True)  # native libraries that a killed process left behind
        (self.home / "tmp").mkdir()
        command = [
            *(str(java), f"-Xms{self.settings.heap_mb // 3}m", f"-Xmx{self.settings.heap_mb}m", *_jvm_options()),
            f"-Dcassandra.config={(self.home / 'conf' / 'cassandra.yaml').as_uri()}",
            f"-Dlogback.configurationFile={(self.home / 'conf' / 'logback.xml').as_uri()}",
            f"-Dcassandra.logdir={self.home / 'logs'}",
            f"-Dcassandra.storagedir={self.home / 'data'}",
            f"-Dcassandra.triggers_dir={self.home / 'conf' / 'triggers'}",
            f"-Djava.io.tmpdir={self.home / 'tmp'}",
            f"-XX:ErrorFile={self.home / 'logs' / 'hs_err_%p.log'}",
            *self.settings.jvm_options,
            _MARKER + str(self.home),
            *("-cp", os.pathsep.join(map(str, classpath)), "org.apache.cassandra.service.CassandraDaemon"),
        ]
        with FileLock(self.home / "daemon.lock") as lock, self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.home,
                env=daemon.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.descriptor()],
            )
            self._keep(pid=self._process.pid)

    def _configure(self, native_port: int, storage_port: int) -> None:
        data = self.home / "data"
        configuration: dict[str, Any] = {
            **yaml.safe_load(_template("cassandra.yaml")),
            "native_transport_port": native_port,
            "storage_port": storage_port,
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"{HOST}:{storage_port}"}],
                }
            ],
            "data_file_directories": [str(data / "data")],
            **{f"{name}_directory": str(data / name) for name in ("commitlog", "hints", "saved_caches", "cdc_raw")},
            **self.settings.extra_yaml,
        }
        configuration = {key: value for key, value in configuration.items() if value is not None}
        text = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True)
        (self.home / "conf" / "cassandra.yaml").write_text(text, encoding="utf-8")
        (self.home / "conf" / "logback.xml").write_text(_template("logback.xml"), encoding="utf-8")

    def _wait_until_it_answers(self, port: int, deadline: float) -> bool:
        """True once CQL answers, False if the daemon died; PipelineError if it does neither in time."""
        while self._alive():
            if daemon.answers(HOST, port):
                return True
            if time.monotonic() > deadline:
                raise PipelineError(
                    f"the Cassandra node does not answer after {self.settings.start_timeout:.0f} s:"
                    f" see {self._log}, then `cloud-analytics cassandra stop` and start it again"
                )
            time.sleep(0.05)
        return False


def _template(name: str) -> str:
    return (importlib.resources.files(__package__) / "node_templates" / name).read_text(encoding="utf-8")


def _jvm_options() -> list[str]:
    return [line for line in _template("jvm.options").splitlines() if line.startswith("-")]
