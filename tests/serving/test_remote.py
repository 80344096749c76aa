"""What is told of a remote target before anything is connected to: all of it at once, and no secret."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile

import pytest
from pydantic import ValidationError

from cloud_analytics.config import Config
from cloud_analytics.config.pipeline import CassandraSettings, ServingSettings
from cloud_analytics.errors import ConfigError
from cloud_analytics.serving.certificates import bundle_problems
from cloud_analytics.serving.connect import Bundle, Direct
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import astra, cassandra, keyspace_of
from tests.serving.astra.bundle import Authority, members, write

TOKEN = "AstraCS:abcdefghijklmnop:" + "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def settings() -> ServingSettings:
    return ServingSettings()


def problems(settings: ServingSettings, name: str, environment: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as failure:
        (cassandra if name == "cassandra" else astra)(settings, environment)
    assert "\n" not in str(failure.value)
    return failure.value.problems


def test_astra_lacks_everything_at_once(settings: ServingSettings) -> None:
    found = problems(settings, "astra", {})
    assert [line.split(" ")[0] for line in found] == [
        "ASTRA_DB_SECURE_BUNDLE", "ASTRA_DB_APPLICATION_TOKEN", "ASTRA_DB_KEYSPACE"
    ]  # fmt: skip
    assert all("is not set" in line for line in found)


def test_what_has_not_the_right_form_is_told_without_its_secret(settings: ServingSettings, tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_text("no archive")
    secret = "AstraCS:short"
    environment = {
        "ASTRA_DB_SECURE_BUNDLE": str(tmp_path / "bundle.zip"),
        "ASTRA_DB_APPLICATION_TOKEN": secret,
        "ASTRA_DB_KEYSPACE": "Not-A-Name",
    }
    found = problems(settings, "astra", environment)
    assert len(found) == 3
    assert "is no zip archive" in found[0]
    assert "has not the form of a token" in found[1]
    assert "'Not-A-Name' is no keyspace name" in found[2]
    assert secret not in " ".join(found)


def test_a_bundle_that_is_whole_and_in_time(authority: Authority, settings: ServingSettings, tmp_path: Path) -> None:
    path = write(tmp_path / "bundle.zip", members(authority, 1))
    assert bundle_problems(path) == []
    environment = {
        "ASTRA_DB_SECURE_BUNDLE": str(path),
        "ASTRA_DB_APPLICATION_TOKEN": f" {TOKEN}\n",
        "ASTRA_DB_KEYSPACE": "mine",
    }
    target = astra(settings, environment)
    assert isinstance(target.access, Bundle)
    assert target.replication is None
    assert target.requests_per_second == 4000
    assert TOKEN not in repr(target)
    options = target.connector_options()
    assert options["spark.cassandra.connection.config.cloud.path"] == path.as_uri()
    assert options["spark.cassandra.auth.username"] == "token"
    assert options["spark.cassandra.auth.password"] == TOKEN
    assert options["spark.cassandra.output.consistency.level"] == "LOCAL_QUORUM"
    assert options["spark.cassandra.input.consistency.level"] == "LOCAL_QUORUM"
    assert "spark.cassandra.connection.host" not in options


def test_what_is_wrong_with_a_bundle(authority: Authority, tmp_path: Path) -> None:
    path, whole = tmp_path / "bundle.zip", members(authority, 1)

    def told(**changes: bytes | None) -> str:
        names = {"config": "config.json", "trust": "trustStore.jks"}
        changed = whole | {names.get(name, name): content for name, content in changes.items()}
        write(path, {name: content for name, content in changed.items() if content is not None})
        return " ".join(bundle_problems(path))

    assert "no file" in " ".join(bundle_problems(tmp_path / "absent.zip"))
    assert "lacks key, trustStore.jks" in told(key=None, trust=None)
    assert "config.json is no JSON" in told(config=b"{")
    assert "config.json lacks port, trustStorePassword" in told(config=b'{"host": "h", "keyStorePassword": "x"}')
    assert "cert holds no certificate" in told(cert=b"?")
    assert "key holds no private key" in told(key=b"?")
    assert "key is not the key of cert" in told(key=authority.issue("other").key_pem)


@pytest.mark.parametrize("name", ["identity.jks", "of no use"])
@pytest.mark.parametrize("kind", [ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA])
@pytest.mark.parametrize("honest", [True, False], ids=["", "it says that it is small"])
def test_a_bundle_that_becomes_much_is_not_unpacked(
    authority: Authority, tmp_path: Path, name: str, kind: int, honest: bool
) -> None:
    much, path = 64 * 2**20, tmp_path / "bundle.zip"
    with ZipFile(path, "w", kind) as archive:
        for member, content in (members(authority, 1) | {name: bytes(much)}).items():
            archive.writestr(member, content)
    if not honest:
        path.write_bytes(path.read_bytes().replace(struct.pack("<I", much), struct.pack("<I", 1000)))
    tracemalloc.start()
    try:
        found = bundle_problems(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert all("\n" not in problem for problem in found)
    harmless = (name, kind, honest) == ("of no use", ZIP_DEFLATED, False)  # who unpacks it gets the 1,000 bytes
    assert bool(found) is not harmless


@pytest.mark.parametrize("name", ["cert/", "../cert", 5_000 * "x"])
def test_a_bundle_with_a_member_that_is_no_file_of_one_folder(authority: Authority, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "odd.zip", {**members(authority, 1), name: b""})
    (problem,) = bundle_problems(path)
    assert problem.startswith(f"{path} holds {name[:80]}, which no bundle does: download")


@pytest.mark.parametrize("harm", ["encrypted", "cut short", "another byte"])
def test_a_bundle_that_is_damaged_is_one_line(authority: Authority, tmp_path: Path, harm: str) -> None:
    path = tmp_path / "bundle.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, member in members(authority, 1).items():
            archive.writestr(name, member)
        at = archive.getinfo("cert").header_offset
    content = bytearray(path.read_bytes())
    if harm == "encrypted":
        content[content.index(b"PK\1\2") + 8] |= 1
        content[6] |= 1
    elif harm == "cut short":
        del content[at + 50 : at + 90]
    else:
        content[at + 45] ^= 0xFF
    path.write_bytes(content)
    (problem,) = bundle_problems(path)
    assert "is no zip archive" in problem
    assert "\n" not in problem


def test_a_certificate_out_of_its_time(authority: Authority, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    ended = authority.issue("client", ends=now - timedelta(days=3))
    (problem,) = bundle_problems(write(tmp_path / "old.zip", members(authority, 1, ended)))
    assert f"the certificate cert expired on {now - timedelta(days=3):%Y-%m-%d}: download a new one" in problem
    path = write(tmp_path / "bundle.zip", members(authority, 1))
    (ca, cert) = bundle_problems(path, now - timedelta(days=30))
    assert "ca.crt is not valid before" in ca
    assert "cert is not valid before" in cert


def test_a_login_of_a_cluster_is_whole_or_absent(settings: ServingSettings) -> None:
    assert problems(settings, "cassandra", {"CASSANDRA_USERNAME": "me"}) == [
        "CASSANDRA_PASSWORD is not set, and CASSANDRA_USERNAME is: set both, or neither where no login is needed"
    ]
    without = cassandra(settings, {})
    assert without.access == Direct(("127.0.0.1",), 9042)
    environment = {"CASSANDRA_USERNAME": "me", "CASSANDRA_PASSWORD": "hush"}
    with_login = cassandra(settings, environment)
    assert with_login.connector_options()["spark.cassandra.auth.password"] == "hush"
    assert "hush" not in repr(with_login)


@pytest.mark.parametrize(
    ("hosts", "refused"),
    [
        (["cassandra.example.org"], True),
        (["10.0.0.7"], True),
        (["127.0.0.1", "10.0.0.7"], True),
        (["0.0.0.0"], True),
        (["127.0.0.1"], False),
        (["127.8.8.8", "::1", "localhost"], False),
    ],
)
def test_a_password_leaves_this_machine_encrypted_or_by_decision(
    settings: ServingSettings, tmp_path: Path, authority: Authority, hosts: list[str], refused: bool
) -> None:
    environment = {"CASSANDRA_USERNAME": "me", "CASSANDRA_PASSWORD": "hush"}

    def chosen(**more: object) -> ServingSettings:
        cluster = CassandraSettings.model_validate({"contact_points": hosts, **more})
        return settings.model_copy(update={"cassandra": cluster})

    if refused:
        (problem,) = problems(chosen(), "cassandra", environment)
        assert "CASSANDRA_PASSWORD would go over the network unencrypted" in problem
        assert "ca_file" in problem
        assert "plaintext: true" in problem
        assert "hush" not in problem
    else:
        cassandra(chosen(), environment)
    cassandra(chosen(), {})  # without a password there is nothing to protect
    cassandra(chosen(plaintext=True), environment)
    (tmp_path / "ca.pem").write_bytes(authority.identity.certificate_pem)
    cassandra(chosen(ca_file=tmp_path / "ca.pem"), environment)
    with pytest.raises(ValidationError, match="give one of them"):
        chosen(ca_file=tmp_path / "ca.pem", plaintext=True)


def test_an_authority_that_is_none(settings: ServingSettings, tmp_path: Path) -> None:
    for file, message in ((tmp_path / "absent.pem", "cannot be read"), (Path(__file__), "holds no certificate")):
        chosen = settings.model_copy(update={"cassandra": CassandraSettings(ca_file=file)})
        (problem,) = problems(chosen, "cassandra", {})
        assert f"pipeline.yaml: serving.cassandra.ca_file: {file} {message}" in problem


def test_settings_of_a_cluster_are_checked() -> None:
    with pytest.raises(ValidationError) as failure:
        CassandraSettings(contact_points=[], port=0, keyspace="No", replication={"dc'": 0}, requests_per_second=0)
    assert failure.value.error_count() == 6
    with pytest.raises(ValidationError, match="LOCAL_QUORUM needs replicas in the data centre 'here'"):
        CassandraSettings(datacenter="here", replication={"there": 3})
    assert CassandraSettings(replication={"datacenter1": 3}).strategy() == {
        "class": "NetworkTopologyStrategy", "datacenter1": "3"
    }  # fmt: skip
    assert CassandraSettings().strategy() is None


def test_options_that_a_store_refuses_are_left_out() -> None:
    for table in tables().values():
        text = table.statement({"compaction"})
        assert "compaction" not in text
        assert "default_time_to_live = 7776000" in text
        assert text.rstrip().endswith("7776000")
        assert "default_time_to_live" not in table.statement({"default_time_to_live", "compaction"})


def test_an_explanation_names_the_keyspace_of_the_target(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRA_DB_KEYSPACE", "mine")
    assert keyspace_of(config, "astra") == "mine"
    assert keyspace_of(config) == keyspace_of(config, "none") == "cloud_analytics"


@pytest.mark.parametrize("command", [("run",), ("serve",), ("stream",), ("query", "carbon", "--org", "o")])
def test_a_command_ends_before_spark_starts(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "_state").mkdir()
    (tmp_path / "_state/last_transaction.json").write_text("1")  # it holds something
    code = "import sys; from cloud_analytics.cli import main; sys.argv[1:] = sys.argv[1:]; main()"
    arguments = [*command, "--serving", "astra", "--lake", str(tmp_path)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.count("is not set") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["_state"]


def test_a_token_in_the_wrong_variable_is_not_shown() -> None:
    swapped = {"ASTRA_DB_SECURE_BUNDLE": TOKEN, "ASTRA_DB_APPLICATION_TOKEN": TOKEN, "ASTRA_DB_KEYSPACE": TOKEN}
    with pytest.raises(ConfigError) as told:
        astra(ServingSettings(), swapped)
    assert len(told.value.problems) == 2
    assert "AstraCS:abc" not in str(told.value)
