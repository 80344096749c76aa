"""The embedded node: a real Apache Cassandra of one lake, from Maven jars. It outlives the process that starts it.

Everything lies in `<lake>/_cassandra`, which only its owner may enter: `conf/` (written at each start), `data/`,
`logs/`, `password`, and `node.json` with the ports that were chosen at the first start. A lock tells whether the node
lives: the daemon itself holds it (it inherits the open file), and the kernel releases it when the daemon dies. So no
stale pid file and no reused pid misleads anybody.

Everybody with an account on the machine can connect to loopback. So the node asks for a password, which is made at the
first start; its port for other nodes asks for a key that nobody has; and it has no port for JMX.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import logging
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cloud_analytics.errors import CloudAnalyticsError, PipelineError, StoreDamaged, StoreUnavailable, UsageError
from cloud_analytics.runtime.filelock import FileLock, is_locked
from cloud_analytics.runtime.jars import cache_folder, ensure
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lockfile import CASSANDRA
from cloud_analytics.serving import daemon
from cloud_analytics.serving.access import Direct, Login
from cloud_analytics.serving.connect import connected, readable_errors
from cloud_analytics.untrusted import json_value

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
USER = "cloud_analytics"
# The user that Cassandra creates in a node without roles; everybody knows its password.
_DEFAULT = Login("cassandra", "cassandra", "the node's defaults")
_CACHED = 0.1  # seconds for which the node remembers a login or a role: the `…_validity` of cassandra.yaml
# What the node's log says if files of it are broken, at its start or when they are read. The node forgives a broken end
# of the commit log, but acknowledged rows are lost by it. (A kill -9 breaks none: what is not synced has no mark yet.)
_DAMAGE = re.compile(
    r"CorruptSSTableException|CorruptBlockException|FSReadError|Unable to seek to position .*\.db"
    r"|error while processing commit log|Ignoring commit log replay error|Exception in thread Thread\[ReadStage"
)
_LOGGED = 1.0  # seconds after which an error of the node stands in its log; its answer may come earlier
_MARKER = "-Dcloud_analytics.home="


class EmbeddedNode:
    """The node of one lake; any number of processes may start, use and stop it.

    `password_file` holds the password of the node's only user; only the owner of the lake can read it. `extra_yaml`
    extends and overrides cassandra.yaml; a value of None removes a key. Timeouts are in seconds.
    """

    def __init__(
        self,
        home: Path,
        start_timeout: float = 120.0,
        stop_timeout: float = 30.0,
        extra_yaml: Mapping[str, Any] | None = None,
    ) -> None:
        self.home = Path(home).absolute()
        self.password_file = self.home / "password"
        self._start_timeout, self._stop_timeout, self._extra_yaml = start_timeout, stop_timeout, extra_yaml or {}
        self._patience = 2 * start_timeout + stop_timeout  # for another process that starts or stops it
        self._log, self._output = self.home / "logs" / "system.log", self.home / "logs" / "output.log"
        # Both go with the data: what the log said of broken files, which the next start may not say again; and a file
        # that is there when nobody but the node's own user can log in.
        self._damage, self._secured = self.home / "data" / "damaged", self.home / "data" / "secured"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Direct:
        """Start the node, unless it runs already, and return the way to it. It runs until `stop`.

        PipelineError if it does not answer in time, UsageError if Java or the jars cannot be had.
        """
        while True:
            access = self._running()
            with self._one_starter():
                if self._alive():  # its last user may just have ended it
                    self._keep(stays=True)
                    return access

    @contextmanager
    def in_use(self) -> Iterator[Direct]:
        """The way to the node, which runs meanwhile. Its last user ends it, unless `start` was called."""
        users = FileLock(self.home / "users.lock", shared=True)
        with contextlib.ExitStack() as using:
            with self._writable():
                using.enter_context(users)
            try:
                yield self._running()
            except StoreUnavailable:
                time.sleep(_LOGGED)
                self._expect_undamaged()
                raise
            finally:
                if self.home.is_dir() and users.take(alone=True):  # nobody else uses it
                    with self._one_starter():
                        if not self._kept().get("stays") and self._alive():
                            self._end()

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            self.home.mkdir(0o700, parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise UsageError(
                f"the embedded Cassandra node cannot write to {self.home} ({error.strerror}): give another folder with"
                " --lake, or another target with --serving"
            ) from None

    def _one_chooser_of_ports(self) -> contextlib.AbstractContextManager[object]:
        """A lock that keeps nodes of other lakes from choosing the same ports before this one answers.

        There is none where the cache can only be read: of two nodes that then choose the same port one chooses again.
        """
        cache = cache_folder()
        if os.access(cache, os.W_OK):
            return FileLock(cache / "ports.lock", self._patience)
        return contextlib.nullcontext()

    def _expect_own_files(self) -> None:
        """UsageError for a link, which no node makes: what is written to one of a stranger is written elsewhere."""
        for folder, folders, names in os.walk(self.home):
            for path in (os.path.join(folder, name) for name in (*folders, *names)):
                with contextlib.suppress(FileNotFoundError):  # the node that runs removes files
                    kind = os.lstat(path).st_mode
                    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                        raise UsageError(
                            f"{path} is no file of a Cassandra node: delete {self.home}, and `cloud-analytics serve`"
                            " makes a new node and fills it"
                        )

    def _running(self) -> Direct:
        self._expect_own_files()
        with self._writable():
            for folder in ("conf", "logs", "data"):
                (self.home / folder).mkdir(parents=True, exist_ok=True)
        self._expect_undamaged()  # an earlier command may have ended before the node's log told of it
        if not (self._secured.exists() and self._answers()):
            self._start()
        return self.access

    def _start(self) -> None:
        java, classpath = require_java().home / "bin" / "java", ensure(CASSANDRA)
        with self._one_starter(), self._one_chooser_of_ports():
            deadline = time.monotonic() + self._start_timeout
            if self._alive() and not self._asks_for_a_password():
                self._end()  # an older version started it
            for _ in range(3):
                launched = not self._alive()
                if launched:
                    logger.debug("starting the embedded Cassandra node")
                    self._launch(java, classpath)
                if self._kept().get("native_port") is None:
                    raise PipelineError(
                        f"{self.home}/node.json was lost: run `cloud-analytics cassandra stop`, then start"
                    )
                if self._wait_until_it_answers(deadline):
                    self._expect_undamaged()
                    if not self._secured.exists():
                        self._secure(deadline)
                    return
                if launched and self._free_ports() == self._ports():
                    break
                # A port was taken between its choice and its use, or the node that lived was just dying: try again.
        self._expect_undamaged()
        raise PipelineError(f"the Cassandra node ended while it started: see {self._log} and {self._output}")

    def stop(self) -> bool:
        """End the node by SIGTERM, and later by SIGKILL; False if it did not run. Acknowledged writes are not lost."""
        if not self.home.is_dir():
            return self._end_orphan()
        with self._one_starter():
            if self._kept():
                self._keep(stays=False)
            return self._end() if self._alive() else self._end_orphan()

    def reset(self) -> None:
        """End the node and remove what it holds. The next start creates a new one, and the next load fills it."""
        self.stop()
        if self.home.is_dir():
            with self._one_starter():
                for folder in ("data", "conf", "logs"):
                    shutil.rmtree(self.home / folder, ignore_errors=True)
                for name in ("password", "node.json"):
                    (self.home / name).unlink(missing_ok=True)

    def _expect_undamaged(self) -> None:
        """StoreDamaged if the node's log ever said that files of the node are broken."""
        if not self._damage.exists():
            logs = [path.read_text("utf-8", "replace") for path in (self._log, self._output) if path.exists()]
            found = next((line for line in "\n".join(logs).splitlines() if _DAMAGE.search(line)), None)
            if found is None:
                return
            self._damage.write_text(found.strip()[:200], "utf-8")
        raise StoreDamaged(
            f"the lake's Cassandra node is damaged ({self._damage.read_text('utf-8')}): what it holds is derived from"
            " Gold, so `cloud-analytics cassandra reset` clears it, and `cloud-analytics serve` fills it again"
        )

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

    def status(self) -> dict[str, Any]:
        """Whether it answers, its address, its process and its user; `port` and `pid` are None if unknown."""
        return {
            "running": self._answers(),
            "host": HOST,
            "port": self._kept().get("native_port"),
            "pid": self._pid() if self.has_data and self._alive() else None,
            "user": USER,
            "password_file": str(self.password_file),
        }

    @property
    def access(self) -> Direct:
        """The way to the node, at the port of its last start. UsageError if the password cannot be read."""
        try:
            password = self.password_file.read_text(encoding="ascii")
        except FileNotFoundError:
            raise UsageError(f"{self.password_file} is gone, the password of the lake's Cassandra node") from None
        except OSError as error:
            raise self._anothers(error) from None
        login = Login(USER, password, str(self.password_file))
        return Direct((HOST,), self._kept()["native_port"], login=login, doctor=self._expect_undamaged)

    @property
    def has_data(self) -> bool:
        """Whether the node was ever started. UsageError where another user did so."""
        try:
            return (self.home / "data").is_dir()
        except PermissionError as error:
            raise self._anothers(error) from None

    def _anothers(self, error: OSError) -> UsageError:
        return UsageError(
            f"the lake's Cassandra node belongs to another user: {self.password_file} cannot be read ({error.strerror})"
        )

    def _one_starter(self) -> FileLock:
        return FileLock(self.home / "start.lock", self._patience)

    def _ports(self) -> list[int | None]:
        return [self._kept().get(name) for name in ("native_port", "storage_port")]

    def _free_ports(self) -> list[int]:
        return daemon.free_ports(HOST, self._ports())

    def _asks_for_a_password(self) -> bool:
        """Whether it was started with a configuration that asks for a password."""
        path = self.home / "conf" / "cassandra.yaml"
        return path.exists() and "PasswordAuthenticator" in path.read_text(encoding="utf-8")

    def _answers(self) -> bool:
        """Whether it is up. Its own log has to say so, too: before, another process may answer on its port."""
        port = self._kept().get("native_port")
        if port is None or not self._alive() or b"Startup complete" not in self._output.read_bytes():
            return False
        return daemon.answers(HOST, port)

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        return is_locked(self.home / "daemon.lock")

    def _pid(self) -> int | None:
        """The daemon's process: the one that was noted if its command line fits, else the one of all that fits."""
        return daemon.find(_MARKER + str(self.home), self._kept().get("pid"))

    def _end_orphan(self) -> bool:
        """End a daemon whose home was deleted: it still holds memory and ports, and nobody can use it."""
        pid = daemon.find(_MARKER + str(self.home))
        if pid is None or self._alive():
            return False
        daemon.send(pid, signal.SIGKILL)
        while daemon.find(_MARKER + str(self.home), pid) == pid:
            time.sleep(0.02)
        return True

    def _kept(self) -> dict[str, Any]:
        try:
            kept = json_value((self.home / "node.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _keep(self, **values: Any) -> None:
        self._write_privately("node.json", json.dumps({**self._kept(), **values}, indent=1).encode())

    def _launch(self, java: Path, classpath: list[Path]) -> None:
        self._end_orphan()
        self.home.chmod(0o700)  # older versions left it open
        if not (self._secured.exists() or self.password_file.exists()):
            self._write_privately("password", secrets.token_urlsafe(32).encode())
        with contextlib.suppress(FileNotFoundError):  # so that the log tells of this start alone
            os.replace(self._log, self._log.with_name("system.previous.log"))
        ports = self._free_ports()
        new = self._kept().get("new", not (self.home / "data" / "data").exists())
        self._keep(native_port=ports[0], storage_port=ports[1], pid=None, new=new)
        self._configure(*ports)
        shutil.rmtree(self.home / "tmp", ignore_errors=True)  # native libraries that a killed process left behind
        triggers = self.home / "tmp" / "triggers"  # new at each start: jars that lie there would be run
        triggers.mkdir(parents=True)
        command = [
            str(java),
            *(line for line in _template("jvm.options").splitlines() if line.startswith("-")),
            f"-Dcassandra.config={(self.home / 'conf' / 'cassandra.yaml').as_uri()}",
            f"-Dlogback.configurationFile={(self.home / 'conf' / 'logback.xml').as_uri()}",
            f"-Dcassandra.logdir={self.home / 'logs'}",
            f"-Dcassandra.storagedir={self.home / 'data'}",
            f"-Dcassandra.triggers_dir={triggers}",
            f"-Djava.io.tmpdir={self.home / 'tmp'}",
            f"-XX:ErrorFile={self.home / 'logs' / 'hs_err_%p.log'}",
            _MARKER + str(self.home),
            *("-cp", os.pathsep.join(map(str, classpath)), "org.apache.cassandra.service.CassandraDaemon"),
        ]
        with self._output.open("wb") as output, FileLock(self.home / "daemon.lock") as lock:
            self._process = subprocess.Popen(
                command,
                cwd=self.home,
                env=daemon.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                pass_fds=[lock.descriptor()],
            )
            self._keep(pid=self._process.pid)

    def _write_privately(self, name: str, content: bytes) -> Path:
        """Replace a file of the node in one step, and return it; only its owner may read it."""
        path = self.home / name
        aside = path.with_name(f"{path.name}.part")
        aside.unlink(missing_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.replace(aside, path)
        return path

    def _configure(self, native_port: int, storage_port: int) -> None:
        from cloud_analytics.serving import keystores  # takes 0.1 s, and is not needed if the node runs already

        data, internode = self.home / "data", secrets.token_urlsafe(32)
        identity, trust = keystores.identity("internode", internode)
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
            # Roles do not bind other nodes, so none is let in: the key is new at each start, and trusts only itself.
            "server_encryption_options": {
                "internode_encryption": "all",
                "optional": False,
                "require_client_auth": True,
                "store_type": "PKCS12",
                "keystore": str(self._write_privately("conf/internode.p12", identity)),
                "truststore": str(self._write_privately("conf/internode-trust.p12", trust)),
                "keystore_password": internode,
                "truststore_password": internode,
            },
            "data_file_directories": [str(data / "data")],
            **{f"{name}_directory": str(data / name) for name in ("commitlog", "hints", "saved_caches", "cdc_raw")},
            **self._extra_yaml,
        }
        configuration = {key: value for key, value in configuration.items() if value is not None}
        text = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True)
        self._write_privately("conf/cassandra.yaml", text.encode())
        self._write_privately("conf/logback.xml", _template("logback.xml").encode())

    def _secure(self, deadline: float) -> None:
        """Give a new node its own user instead of the one that everybody knows.

        Somebody else may have logged in before. That shows in a role, a keyspace or a connection, as soon as the node
        has forgotten the logins that it remembers: then the node is ended, with a PipelineError.
        """
        try:
            self._make_user(deadline)
            with connected(self.access) as session, readable_errors("cannot set up the node's user"):
                session.execute(f"DROP ROLE IF EXISTS {_DEFAULT.username}")
                time.sleep(2 * _CACHED)
                users = {row["role"] for row in session.execute("SELECT role FROM system_auth.roles")}
                users |= {row["username"] for row in session.execute("SELECT username FROM system_views.clients")}
                names = session.execute("SELECT keyspace_name AS name FROM system_schema.keyspaces")
                keyspaces = [row["name"] for row in names if not row["name"].startswith("system")]
        except CloudAnalyticsError:
            self._end()
            raise
        if users != {USER} or (keyspaces and self._kept().get("new")):
            self._end()
            raise PipelineError(
                "somebody else has logged in to the lake's Cassandra node while it was set up, and it was ended:"
                " `cloud-analytics cassandra reset`, then try again; find out who else works on this machine"
            )
        self._secured.touch(0o600)

    def _make_user(self, deadline: float) -> None:
        own = self.access
        assert own.login is not None
        create = f"CREATE ROLE IF NOT EXISTS {USER} WITH PASSWORD = '{own.login.password}'"
        while True:
            try:
                with connected(replace(own, login=_DEFAULT)) as session, readable_errors("cannot make the node's user"):
                    session.execute(f"{create} AND SUPERUSER = true AND LOGIN = true")
                return
            except UsageError:  # the default user is created a moment after the start; or it is gone already
                with contextlib.suppress(UsageError), connected(own):
                    return
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _wait_until_it_answers(self, deadline: float) -> bool:
        """Wait until CQL answers (True) or the daemon dies (False); PipelineError if neither happens in time."""
        while self._alive():
            if self._answers():
                return True
            if time.monotonic() > deadline:
                raise PipelineError(
                    f"the Cassandra node does not answer after {self._start_timeout:.0f} s:"
                    f" see {self._log}, then `cloud-analytics cassandra stop` and start it again"
                )
            time.sleep(0.05)
        return False


def _template(name: str) -> str:
    return (importlib.resources.files(__package__) / "node_templates" / name).read_text(encoding="utf-8")
