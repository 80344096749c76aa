"""The files of the embedded node, in `<lake>/_cassandra`: its configuration, its data and its logs.

Only the owner may enter the folder. It holds `conf/` (written at each start), `data/`, `logs/`, `password`, `key.p12`,
`certificate.pem`, and `node.json` with the ports of the last start, which the next start tries to keep.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cloud_analytics.errors import StoreDamaged, UsageError
from cloud_analytics.serving.connect import Login
from cloud_analytics.trust import expect_trusted
from cloud_analytics.untrusted import json_value

HOST = "127.0.0.1"
USER = "cloud_analytics"
MARKER = "-Dcloud_analytics.home="  # identifies a process as the node of a lake by its command line
# Log lines of a node that finds damaged files, at its start or when it reads them. The node accepts a damaged end of
# the commit log, but then acknowledged rows are lost. (A kill -9 does no such damage: unsynced data has no mark yet.)
_DAMAGE = re.compile(
    r"CorruptSSTableException|CorruptBlockException|FSReadError|Unable to seek to position .*\.db"
    r"|error while processing commit log|Ignoring commit log replay error|Exception in thread Thread\[ReadStage"
)
_REMEDY = "make room there, give another folder with --lake, or another target with --serving"
_LEAST_FREE = 64 << 20  # bytes; Cassandra itself keeps 50 MiB free


class NodeFiles:
    """The files in the folder of one node."""

    def __init__(self, home: Path) -> None:
        self.home = Path(home).absolute()
        self.password, self.lock = self.home / "password", self.home / "daemon.lock"
        self.certificate, self._key = self.home / "certificate.pem", self.home / "key.p12"
        self.log, self.output = self.home / "logs" / "system.log", self.home / "logs" / "output.log"
        self._deleted = self.home / "data.deleted"
        # Both are deleted with the data. `damaged` keeps the log line about damaged files, which the next start may not
        # log again. `secured` exists once nobody but the node's own user can log in.
        self._damage, self.secured = self.home / "data" / "damaged", self.home / "data" / "secured"

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Create the folder if it is missing. UsageError if another user could exchange it, or if a write fails."""
        try:
            self._expect_own_path(str(self.home))
            expect_trusted(self.home.parent, "who could exchange the lake's Cassandra node: use a --lake of your own")
            self.home.mkdir(0o700, parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise UsageError(
                f"the embedded Cassandra node cannot write to {error.filename or self.home} ({error.strerror}):"
                f" {_REMEDY}"
            ) from None

    def expect_room(self) -> None:
        """UsageError if the disk is so full that a node would end at once."""
        free = shutil.disk_usage(self.home).free
        if free < _LEAST_FREE:
            raise UsageError(
                f"the embedded Cassandra node needs {_LEAST_FREE >> 20} MiB at {self.home}, and {free >> 20} are free:"
                f" {_REMEDY}"
            )

    def expect_own(self) -> None:
        """UsageError if a path is a link or belongs to another user: a write through a link would go elsewhere."""
        self._expect_own_path(str(self.home))
        for folder, folders, names in os.walk(self.home):
            for name in (*folders, *names):
                self._expect_own_path(os.path.join(folder, name))

    def _expect_own_path(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # a running node deletes files
            found = os.lstat(path)
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                raise UsageError(
                    f"{path} is no file of a Cassandra node: delete {self.home}, and `cloud-analytics serve`"
                    " makes a new node and fills it"
                )
            if found.st_uid != os.geteuid():  # that user could change the node's configuration
                raise UsageError(
                    f"the lake's Cassandra node belongs to another user: {path} is not yours; work as that user, give"
                    f" another target with --serving, or delete {self.home} if the lake is yours"
                )

    def expect_undamaged(self) -> None:
        """StoreDamaged if the node's log has ever reported damaged files."""
        if not self._damage.exists():
            logs = [path.read_text("utf-8", "replace") for path in (self.log, self.output) if path.exists()]
            found = next((line for line in "\n".join(logs).splitlines() if _DAMAGE.search(line)), None)
            if found is None:
                return
            self._damage.write_text(found.strip()[:200], "utf-8")
        raise StoreDamaged(
            f"the lake's Cassandra node is damaged ({self._damage.read_text('utf-8')}): what it holds is derived from"
            " Gold, so `cloud-analytics cassandra reset` clears it, and `cloud-analytics serve` fills it again"
        )

    @property
    def has_data(self) -> bool:
        """Whether the node was ever started. UsageError if its folder belongs to another user."""
        try:
            return (self.home / "data").is_dir()
        except PermissionError as error:
            raise self._anothers(error) from None

    def login(self) -> Login:
        """User name and password of the node's only user. UsageError if the password cannot be read."""
        try:
            return Login(USER, self.password.read_text(encoding="ascii"), str(self.password))
        except FileNotFoundError:
            raise UsageError(f"{self.password} is gone, the password of the lake's Cassandra node") from None
        except OSError as error:
            raise self._anothers(error) from None

    def _anothers(self, error: OSError) -> UsageError:
        return UsageError(
            f"the lake's Cassandra node belongs to another user: {self.password} cannot be read ({error.strerror})"
        )

    def kept(self) -> dict[str, Any]:
        """The content of `node.json`; an empty dict if the file is missing or invalid."""
        try:
            kept = json_value((self.home / "node.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        ports = [kept.get(name) for name in ("native_port", "storage_port")] if isinstance(kept, dict) else [0]
        return kept if all(port is None or (type(port) is int and 0 < port < 1 << 16) for port in ports) else {}

    def keep(self, **values: Any) -> None:
        """Change values of `node.json`. The caller must hold the lock `start.lock`."""
        self._write("node.json", json.dumps({**self.kept(), **values}, indent=1).encode())

    def is_guarded(self) -> bool:
        """Whether the node's configuration requires a password and has the key of the node's certificate."""
        path = self.home / "conf" / "cassandra.yaml"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return "PasswordAuthenticator" in text and str(self._key) in text

    def clear(self) -> None:
        """Delete all files except the locks.

        The data leave in one step: a node with a part of its files would start, and would not know what it lacks.
        """
        self._delete_waste()
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.home / "data", self._deleted)
        self._delete_waste()
        for folder in ("conf", "logs"):
            shutil.rmtree(self.home / folder, ignore_errors=True)
        for path in (self.password, self.certificate, self._key, self.home / "node.json"):
            path.unlink(missing_ok=True)

    def _delete_waste(self) -> None:
        """Delete what a killed process left: native libraries, and the data of a deletion that did not end."""
        for folder in (self.home / "tmp", self._deleted):
            shutil.rmtree(folder, ignore_errors=True)

    def prepare(self, native_port: int, storage_port: int, extra_yaml: Mapping[str, Any]) -> list[str]:
        """Write the files that a start needs. Returns the options of the daemon's JVM."""
        from cloud_analytics.serving import certificates  # takes 0.1 s, not needed for a running node

        self.home.chmod(0o700)  # older versions left it open
        if not (self.secured.exists() or self.password.exists()):
            self._write("password", secrets.token_urlsafe(32).encode())
            self._key.unlink(missing_ok=True)  # it is encrypted with the previous password
        if not (self.certificate.exists() and self._key.exists()):
            own = certificates.identity("cassandra", self.login().password)
            self._write(self._key.name, own.store)
            self._write(self.certificate.name, own.certificate)
        with contextlib.suppress(FileNotFoundError):  # so that the log holds this start alone
            os.replace(self.log, self.log.with_name("system.previous.log"))
        new = self.kept().get("new", not (self.home / "data" / "data").exists())
        self.keep(native_port=native_port, storage_port=storage_port, pid=None, new=new)
        self._configure(native_port, storage_port, extra_yaml)
        self._delete_waste()
        triggers = self.home / "tmp" / "triggers"  # emptied at each start: the node would run any jar in it
        triggers.mkdir(parents=True)
        return [
            *(line for line in _template("jvm.options").splitlines() if line.startswith("-")),
            f"-Dcassandra.config={(self.home / 'conf' / 'cassandra.yaml').as_uri()}",
            f"-Dlogback.configurationFile={(self.home / 'conf' / 'logback.xml').as_uri()}",
            f"-Dcassandra.logdir={self.home / 'logs'}",
            f"-Dcassandra.storagedir={self.home / 'data'}",
            f"-Dcassandra.triggers_dir={triggers}",
            f"-Djava.io.tmpdir={self.home / 'tmp'}",
            f"-XX:ErrorFile={self.home / 'logs' / 'hs_err_%p.log'}",
            MARKER + str(self.home),
        ]

    def _configure(self, native_port: int, storage_port: int, extra_yaml: Mapping[str, Any]) -> None:
        from cloud_analytics.serving import certificates

        data, internode = self.home / "data", secrets.token_urlsafe(32)
        nobody = certificates.identity("internode", internode)
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
            # Roles do not restrict other nodes, so no node may connect: the key is new at each start and is the only
            # key that is trusted.
            "server_encryption_options": {
                "internode_encryption": "all",
                "optional": False,
                "require_client_auth": True,
                "store_type": "PKCS12",
                "keystore": str(self._write("conf/internode.p12", nobody.store)),
                "truststore": str(self._write("conf/internode-trust.p12", nobody.trust)),
                "keystore_password": internode,
                "truststore_password": internode,
            },
            # The certificate proves to a client that this is the node, before the client sends the password: when the
            # node has ended, any user may take its port. TLS is optional for tools that only know user and password.
            "client_encryption_options": {
                "enabled": True,
                "optional": True,
                "require_client_auth": False,
                "store_type": "PKCS12",
                "keystore": str(self._key),
                "keystore_password": self.login().password,
            },
            "data_file_directories": [str(data / "data")],
            **{f"{name}_directory": str(data / name) for name in ("commitlog", "hints", "saved_caches", "cdc_raw")},
            **extra_yaml,
        }
        configuration = {key: value for key, value in configuration.items() if value is not None}
        text = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True)
        self._write("conf/cassandra.yaml", text.encode())
        self._write("conf/logback.xml", _template("logback.xml").encode())

    def _write(self, name: str, content: bytes) -> Path:
        """Replace a file of the node atomically and return its path. Only the owner may read the file."""
        path = self.home / name
        aside = path.with_name(f"{path.name}.part")
        aside.unlink(missing_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.replace(aside, path)
        return path


def _template(name: str) -> str:
    return (importlib.resources.files(__package__) / "node_templates" / name).read_text(encoding="utf-8")
