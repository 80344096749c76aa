"""The embedded node: a real Apache Cassandra of one lake, from Maven jars. It outlives the process that starts it.

A lock tells whether the node is alive: the daemon inherits the open lock file and so holds the lock, and the kernel
releases the lock when the daemon dies. So a stale pid file or a reused pid cannot mislead a command.

Every user of the machine can connect to loopback. So the node requires a password, which is created at the first start.
Its port for other nodes requires a key that no client has, and it has no JMX port.
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

# The user that Cassandra creates in a node without roles. Its password is public knowledge.
_DEFAULT = Login("cassandra", "cassandra", "the node's defaults")
_CACHED = 0.1  # seconds that the node caches a login or a role: the `…_validity` settings in cassandra.yaml
_LOGGED = 1.0  # seconds until an error of the node is in its log; the client may get the error earlier


class EmbeddedNode:
    """The node of one lake. Any number of processes may start, use and stop it.

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
        self._patience = 2 * start_timeout + stop_timeout  # with another process that starts or stops it
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Direct:
        """Start the node, unless it runs already, and return the access to it. The node then runs until `stop`.

        PipelineError if the node does not answer in time; UsageError if Java or the jars are not available.
        """
        while True:
            access = self._running()
            with self._one_starter():
                if self._alive():  # the last user may have ended the node meanwhile
                    self.files.keep(stays=True)
                    return access

    @contextmanager
    def in_use(self) -> Iterator[Direct]:
        """The access to the node, which runs inside the `with` block. The last user ends it, unless `start` was called.

        Raises the errors of `start`; StoreDamaged if the node's files are damaged.
        """
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
                if self.home.is_dir() and users.take(alone=True):  # no other process uses the node
                    with self._one_starter():
                        if not self.files.kept().get("stays") and self._alive():
                            self._end()

    def stop(self) -> bool:
        """End the node with SIGTERM, later with SIGKILL. False if it did not run. No acknowledged write is lost."""
        if not self.home.is_dir():
            return self._end_orphan()
        with self.files.writable(), self._one_starter():
            if self.files.kept():
                self.files.keep(stays=False)
            return self._end() if self._alive() else self._end_orphan()

    def reset(self) -> None:
        """End the node and delete its files. The next start creates a new node, and the next load fills it."""
        self.stop()
        if self.home.is_dir():
            with self._one_starter():
                self.files.clear()

    def status(self) -> dict[str, Any]:
        """Whether the node answers, its address, its process and its user. `port` and `pid` are None if unknown."""
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
        """The access to the node at the port of its last start. UsageError if the password cannot be read."""
        login, port = self.files.login(), self.files.kept()["native_port"]
        return Direct((HOST,), port, login=login, ca_file=self.files.certificate, doctor=self.files.expect_undamaged)

    def _running(self) -> Direct:
        self.files.expect_own()
        with self.files.writable():
            for folder in ("conf", "logs", "data"):
                (self.home / folder).mkdir(parents=True, exist_ok=True)
            self.files.expect_undamaged()  # the log may have reported damage after an earlier command ended
            if not (self.files.secured.exists() and self._answers()):
                self._start()
        return self.access

    def _start(self) -> None:
        java, classpath = require_java().home / "bin" / "java", ensure(CASSANDRA)
        with self._one_starter(), self._one_chooser_of_ports():
            deadline = time.monotonic() + self._start_timeout
            if self._alive() and not self.files.is_guarded():
                self._end()  # an older version started it without a password
            for _ in range(3):
                launched = not self._alive()
                if launched:
                    logger.debug("starting the embedded Cassandra node")
                    self._launch(java, classpath)
                if self.files.kept().get("native_port") is None:
                    raise PipelineError(
                        f"{self.home}/node.json was lost: run `cloud-analytics cassandra stop`, then start"
                    )
                # Hash while the node starts: until its user exists, others can log in with the default password.
                is_new = self._alive() and not self.files.secured.exists()
                hashed = daemon.hashed(java, classpath, self.files.password) if is_new else None
                if self._wait_until_it_answers(deadline):
                    self.files.expect_undamaged()
                    if hashed is not None:
                        self._secure(deadline, hashed)
                    return
                if launched and self._free_ports() == self._ports():
                    break
                # A port was taken between its choice and its use, or the running node was just ending: try again.
        self.files.expect_undamaged()
        self.files.expect_room()
        raise PipelineError(f"the Cassandra node ended while it started: see {self.files.log} and {self.files.output}")

    def _one_starter(self) -> FileLock:
        return FileLock(self.home / "start.lock", self._patience)

    @contextmanager
    def _one_chooser_of_ports(self) -> Iterator[None]:
        """A lock that keeps nodes of other lakes from choosing the same ports before this node answers.

        Without write access to the cache folder there is no lock. If two nodes then choose the same port, one of them
        chooses again.
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
        """Wait until CQL answers (True) or the daemon dies (False). PipelineError if neither happens in time."""
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
        """Replace the public default user of a new node by the node's own user.

        A stranger may have logged in before. If the stranger could still get in, the node is ended and PipelineError is
        raised.
        """
        try:
            self._make_user(deadline, hashed)
            with connected(self.access) as session, readable_errors("cannot set up the node's user"):
                session.execute(f"ALTER ROLE {USER} WITH HASHED PASSWORD = '{hashed}'")
                session.execute(f"DROP ROLE IF EXISTS {_DEFAULT.username}")
                is_ours = any(self._is_ours(session, hashed) for _ in range(5))  # a connection takes a moment to close
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
        """Whether no stranger is connected to the node, or has left a login or a keyspace in it.

        A connected stranger could change our password, and a stranger with a password could connect. So connections are
        checked before and after the roles: nobody can log in, change a password twice and leave in these milliseconds.
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
            except LoginRefused:  # the default user exists only some time after the start, or is gone already
                with contextlib.suppress(LoginRefused), connected(own):
                    return
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _answers(self) -> bool:
        """Whether the node is up. Its log must say so, too: before that, another process may answer on its port."""
        port = self.files.kept().get("native_port")
        if port is None or not self._alive() or b"Startup complete" not in self.files.output.read_bytes():
            return False
        return daemon.answers(HOST, port, self.files.certificate)

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        return is_locked(self.files.lock)

    def _pid(self) -> int | None:
        """The daemon's process id: the noted one if its command line matches, else the process that matches."""
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
        """End a daemon whose folder was deleted: it still holds memory and ports, but no command can use it."""
        pid = daemon.find(MARKER + str(self.home))
        if pid is None or self._alive():
            return False
        daemon.send(pid, signal.SIGKILL)
        while daemon.find(MARKER + str(self.home), pid) == pid:
            time.sleep(0.02)
        return True
