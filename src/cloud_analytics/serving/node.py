"""The embedded node: a real Apache Cassandra of one lake, from Maven jars. It outlives the process that starts it.

A lock tells whether the node lives: the daemon itself holds it (it inherits the open file), and the kernel releases it
when the daemon dies. So no stale pid file and no reused pid misleads anybody.

Everybody with an account on the machine can connect to loopback. So the node asks for a password, which is made at the
first start; its port for other nodes asks for a key that nobody has; and it has no port for JMX.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud_analytics.errors import CloudAnalyticsError, PipelineError, StoreUnavailable
from cloud_analytics.runtime.filelock import FileLock, is_locked
from cloud_analytics.runtime.jars import cache_folder, ensure
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lock import CASSANDRA
from cloud_analytics.serving import daemon
from cloud_analytics.serving.connect import (
    Direct,
    Login,
    LoginRefused,
    connected,
    connections_of_others,
    readable_errors,
)
from cloud_analytics.serving.node_files import HOST, MARKER, USER, NodeFiles

if TYPE_CHECKING:
    from cassandra.cluster import Session

logger = logging.getLogger(__name__)

# The user that Cassandra creates in a node without roles; everybody knows its password.
_DEFAULT = Login("cassandra", "cassandra", "the node's defaults")
_CACHED = 0.1  # seconds for which the node remembers a login or a role: the `…_validity` of cassandra.yaml
_LOGGED = 1.0  # seconds after which an error of the node stands in its log; its answer may come earlier


class EmbeddedNode:
    """The node of one lake; any number of processes may start, use and stop it.

    `extra_yaml` extends and overrides cassandra.yaml; a value of None removes a key. Timeouts are in seconds.
    """

    def __init__(
        self,
        home: Path,
        start_timeout: float = 120.0,
        stop_timeout: float = 30.0,
        extra_yaml: Mapping[str, Any] | None = None,
    ) -> None:
        self.files = NodeFiles(home)
        self.home = self.files.home
        self._start_timeout, self._stop_timeout, self._extra_yaml = start_timeout, stop_timeout, extra_yaml or {}
        self._patience = 2 * start_timeout + stop_timeout  # for another process that starts or stops it
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Direct:
        """Start the node, unless it runs already, and return the way to it. It runs until `stop`.

        PipelineError if it does not answer in time, UsageError if Java or the jars cannot be had.
        """
        while True:
            access = self._running()
            with self._one_starter():
                if self._alive():  # its last user may just have ended it
                    self.files.keep(stays=True)
                    return access

    @contextmanager
    def in_use(self) -> Iterator[Direct]:
        """The way to the node, which runs meanwhile. Its last user ends it, unless `start` was called."""
        users = FileLock(self.home / "users.lock", shared=True)
        with contextlib.ExitStack() as using:
            with self.files.writable():
                using.enter_context(users)
            try:
                yield self._running()
            except StoreUnavailable:
                time.sleep(_LOGGED)
                self.files.expect_undamaged()
                raise
            finally:
                if self.home.is_dir() and users.take(alone=True):  # nobody else uses it
                    with self._one_starter():
                        if not self.files.kept().get("stays") and self._alive():
                            self._end()

    def stop(self) -> bool:
        """End the node by SIGTERM, and later by SIGKILL; False if it did not run. Acknowledged writes are not lost."""
        if not self.home.is_dir():
            return self._end_orphan()
        with self.files.writable(), self._one_starter():
            if self.files.kept():
                self.files.keep(stays=False)
            return self._end() if self._alive() else self._end_orphan()

    def reset(self) -> None:
        """End the node and remove what it holds. The next start creates a new one, and the next load fills it."""
        self.stop()
        if self.home.is_dir():
            with self._one_starter():
                self.files.clear()

    def status(self) -> dict[str, Any]:
        """Whether it answers, its address, its process and its user; `port` and `pid` are None if unknown."""
        return {
            "running": self._answers(),
            "host": HOST,
            "port": self.files.kept().get("native_port"),
            "pid": self._pid() if self.files.has_data and self._alive() else None,
            "user": USER,
            "password_file": str(self.files.password),
        }

    @property
    def access(self) -> Direct:
        """The way to the node, at the port of its last start. UsageError if the password cannot be read."""
        login, port = self.files.login(), self.files.kept()["native_port"]
        return Direct((HOST,), port, login=login, ca_file=self.files.certificate, doctor=self.files.expect_undamaged)

    def _running(self) -> Direct:
        self.files.expect_own()
        with self.files.writable():
            for folder in ("conf", "logs", "data"):
                (self.home / folder).mkdir(parents=True, exist_ok=True)
            self.files.expect_undamaged()  # an earlier command may have ended before the node's log told of it
            if not (self.files.secured.exists() and self._answers()):
                self._start()
        return self.access

    def _start(self) -> None:
        java, classpath = require_java().home / "bin" / "java", ensure(CASSANDRA)
        with self._one_starter(), self._one_chooser_of_ports():
            deadline = time.monotonic() + self._start_timeout
            if self._alive() and not self.files.is_guarded():
                self._end()  # an older version started it
            for _ in range(3):
                launched = not self._alive()
                if launched:
                    logger.debug("starting the embedded Cassandra node")
                    self._launch(java, classpath)
                if self.files.kept().get("native_port") is None:
                    raise PipelineError(
                        f"{self.home}/node.json was lost: run `cloud-analytics cassandra stop`, then start"
                    )
                # While the node starts: the less time it then takes to make its user, the less others have.
                is_new = self._alive() and not self.files.secured.exists()
                hashed = daemon.hashed(java, classpath, self.files.password) if is_new else None
                if self._wait_until_it_answers(deadline):
                    self.files.expect_undamaged()
                    if hashed is not None:
                        self._secure(deadline, hashed)
                    return
                if launched and self._free_ports() == self._ports():
                    break
                # A port was taken between its choice and its use, or the node that lived was just dying: try again.
        self.files.expect_undamaged()
        self.files.expect_room()
        raise PipelineError(f"the Cassandra node ended while it started: see {self.files.log} and {self.files.output}")

    def _one_starter(self) -> FileLock:
        return FileLock(self.home / "start.lock", self._patience)

    @contextmanager
    def _one_chooser_of_ports(self) -> Iterator[None]:
        """A lock that keeps nodes of other lakes from choosing the same ports before this one answers.

        There is none where this user may not write it: of two nodes that then choose the same port one chooses again.
        """
        with contextlib.ExitStack() as locked:
            with contextlib.suppress(OSError):
                locked.enter_context(FileLock(cache_folder() / "ports.lock", self._patience))
            yield

    def _ports(self) -> list[int | None]:
        return [self.files.kept().get(name) for name in ("native_port", "storage_port")]

    def _free_ports(self) -> list[int]:
        return daemon.free_ports(HOST, self._ports())

    def _launch(self, java: Path, classpath: list[Path]) -> None:
        self._end_orphan()
        native_port, storage_port = self._free_ports()
        options = self.files.prepare(native_port, storage_port, self._extra_yaml)
        jars = os.pathsep.join(map(str, classpath))
        with self.files.output.open("wb") as output, FileLock(self.files.lock) as lock:
            self._process = subprocess.Popen(
                [str(java), *options, "-cp", jars, "org.apache.cassandra.service.CassandraDaemon"],
                cwd=self.home,
                env=daemon.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                pass_fds=[lock.descriptor()],
            )
            self.files.keep(pid=self._process.pid)

    def _wait_until_it_answers(self, deadline: float) -> bool:
        """Wait until CQL answers (True) or the daemon dies (False); PipelineError if neither happens in time."""
        while self._alive():
            if self._answers():
                return True
            if time.monotonic() > deadline:
                raise PipelineError(
                    f"the Cassandra node does not answer after {self._start_timeout:.0f} s:"
                    f" see {self.files.log}, then `cloud-analytics cassandra stop` and start it again"
                )
            time.sleep(0.05)
        return False

    def _secure(self, deadline: float, hashed: str) -> None:
        """Give a new node its own user instead of the one that everybody knows.

        Somebody else may have logged in before. Where that leaves a way back, the node is ended, with a PipelineError.
        """
        try:
            self._make_user(deadline, hashed)
            with connected(self.access) as session, readable_errors("cannot set up the node's user"):
                session.execute(f"ALTER ROLE {USER} WITH HASHED PASSWORD = '{hashed}'")
                session.execute(f"DROP ROLE IF EXISTS {_DEFAULT.username}")
                is_ours = any(self._is_ours(session, hashed) for _ in range(5))  # a connection closes after a moment
        except LoginRefused:
            is_ours = False
        except CloudAnalyticsError:
            self._end()
            raise
        if not is_ours:
            self._end()
            raise PipelineError(
                "somebody else has logged in to the lake's Cassandra node while it was set up, and it was ended:"
                " `cloud-analytics cassandra reset`, then try again; find out who else works on this machine"
            )
        self.files.secured.touch(0o600)

    def _is_ours(self, session: Session, hashed: str) -> bool:
        """Whether nobody else is connected to the node, or has left a login or a table in it.

        Who is connected could change our password, and who knows a password could connect. So connections are looked
        at before and after the roles: in these milliseconds nobody logs in, changes a password twice and is gone.
        """
        time.sleep(2 * _CACHED)
        strangers = connections_of_others(session)
        roles = [(row["role"], row["salted_hash"]) for row in session.execute("SELECT * FROM system_auth.roles")]
        names = session.execute("SELECT keyspace_name AS name FROM system_schema.keyspaces")
        keyspaces = {row["name"] for row in names if not row["name"].startswith("system")}
        strangers |= connections_of_others(session)
        return not strangers and roles == [(USER, hashed)] and not (keyspaces and self.files.kept().get("new"))

    def _make_user(self, deadline: float, hashed: str) -> None:
        own = self.access
        create = f"CREATE ROLE IF NOT EXISTS {USER} WITH HASHED PASSWORD = '{hashed}'"
        while True:
            try:
                with connected(replace(own, login=_DEFAULT)) as session, readable_errors("cannot make the node's user"):
                    session.execute(f"{create} AND SUPERUSER = true AND LOGIN = true")
                return
            except LoginRefused:  # the default user is created a moment after the start; or it is gone already
                with contextlib.suppress(LoginRefused), connected(own):
                    return
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _answers(self) -> bool:
        """Whether it is up. Its own log has to say so, too: before, another process may answer on its port."""
        port = self.files.kept().get("native_port")
        if port is None or not self._alive() or b"Startup complete" not in self.files.output.read_bytes():
            return False
        return daemon.answers(HOST, port, self.files.certificate)

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        return is_locked(self.files.lock)

    def _pid(self) -> int | None:
        """The daemon's process: the one that was noted if its command line fits, else the one of all that fits."""
        return daemon.find(MARKER + str(self.home), self.files.kept().get("pid"))

    def _end(self) -> bool:
        for sign, patience in ((signal.SIGTERM, self._stop_timeout), (signal.SIGKILL, 10.0)):
            pid = self._pid()
            if pid is not None:
                daemon.send(pid, sign)
            until = time.monotonic() + patience
            while time.monotonic() < until:
                if not self._alive():
                    return True
                time.sleep(0.05)
        raise PipelineError(f"the Cassandra node (process {self._pid()}) does not end: end it by hand, then try again")

    def _end_orphan(self) -> bool:
        """End a daemon whose home was deleted: it still holds memory and ports, and nobody can use it."""
        pid = daemon.find(MARKER + str(self.home))
        if pid is None or self._alive():
            return False
        daemon.send(pid, signal.SIGKILL)
        while daemon.find(MARKER + str(self.home), pid) == pid:
            time.sleep(0.02)
        return True
