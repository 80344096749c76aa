"""The embedded node: a real Cassandra that keeps what it acknowledged, whoever is killed."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import random
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.errors import PipelineError, StoreDamaged, UsageError
from cloud_analytics.runtime.filelock import FileLock, is_locked
from cloud_analytics.serving import certificates, daemon
from cloud_analytics.serving.connect import Login, Row, connect, connected, readable_errors
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.node_files import USER, NodeFiles

pytestmark = pytest.mark.cassandra


SCHEMA = (
    "CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    "CREATE TABLE IF NOT EXISTS k.costs (org_id text, usage_date date, cost decimal, PRIMARY KEY (org_id, usage_date))",
    "CREATE TABLE IF NOT EXISTS k.numbers (id int PRIMARY KEY)",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of one node for the whole module, in a path that Java must not stumble over."""
    home = tmp_path_factory.mktemp("my läke") / "_cassandra"
    yield home
    EmbeddedNode(home).stop()


@pytest.fixture
def node(home: Path) -> EmbeddedNode:
    """The node, running; a new object, as another process would have."""
    node = EmbeddedNode(home)
    with connected(node.start()) as session:
        for statement in SCHEMA:
            session.execute(statement)
    return node


def port_of(node: EmbeddedNode) -> int:
    return int(node.status()["port"])


def select(node: EmbeddedNode, query: str) -> list[Row]:
    with connected(node.access) as session:
        return list(session.execute(query))


def kill(node: EmbeddedNode) -> None:
    """What the kernel does to it when memory runs out. Returns when the last thread is gone, and the lock free."""
    os.kill(node.status()["pid"], signal.SIGKILL)
    until = time.monotonic() + 10
    while is_locked(node.files.lock):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_it_outlives_the_process_that_started_it(home: Path) -> None:
    code = "import sys; from pathlib import Path; from cloud_analytics.serving.node import EmbeddedNode;"
    code += "print(EmbeddedNode(Path(sys.argv[1])).start().port)"
    done = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True)
    status = EmbeddedNode(home).status()
    assert status == {
        "running": True,
        "host": "127.0.0.1",
        "port": int(done.stdout),
        "pid": status["pid"],
        "user": "cloud_analytics",
        "password_file": str(home / "password"),
    }
    assert os.getsid(status["pid"]) != os.getsid(0)


def test_values_come_back_as_they_went(node: EmbeddedNode) -> None:
    with connected(node.access) as session:
        session.set_keyspace("k")
        insert = session.prepare("INSERT INTO costs (org_id, usage_date, cost) VALUES (?, ?, ?)")
        session.execute(insert, ("org_ñ", datetime.date(2025, 1, 31), Decimal("-0.010000")))
        session.execute(insert, ("org_ñ", datetime.date(1969, 12, 31), None))
        rows = list(session.execute("SELECT * FROM costs"))
        assert session.cluster.profile_manager.default.consistency_level == 6  # LOCAL_QUORUM
    assert rows == [
        {"org_id": "org_ñ", "usage_date": datetime.date(1969, 12, 31), "cost": None},
        {"org_id": "org_ñ", "usage_date": datetime.date(2025, 1, 31), "cost": Decimal("-0.010000")},
    ]
    assert isinstance(rows[1]["usage_date"], datetime.date)


def test_starting_a_running_node_changes_nothing(node: EmbeddedNode) -> None:
    before = node.status()
    began = time.monotonic()
    assert node.start().port == before["port"]
    assert time.monotonic() - began < 1
    assert node.status() == before


def test_only_loopback_is_listened_on(node: EmbeddedNode) -> None:
    listening = Path(f"/proc/{node.status()['pid']}/net/tcp")
    if not listening.exists():
        pytest.skip("no /proc here")
    kept = node.files.kept()
    for line in listening.read_text().splitlines()[1:]:
        address, port = line.split()[1].split(":")
        if int(port, 16) in (kept["native_port"], kept["storage_port"]):
            assert address in ("0100007F", "7F000001")


def listening(pid: int) -> set[int]:
    """The ports on which a process listens."""
    sockets = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(os.readlink(entry))
    ports = set()
    for kind in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


@pytest.mark.parametrize(
    "login", [None, Login("cassandra", "cassandra", "-"), Login("cloud_analytics", "cassandra", "-")], ids=str
)
def test_it_lets_in_nobody_but_who_can_read_the_password(node: EmbeddedNode, login: Login | None) -> None:
    with pytest.raises(UsageError), connected(replace(node.access, login=login)):
        pass
    assert select(node, "SELECT role FROM system_auth.roles") == [{"role": "cloud_analytics"}]


def test_only_its_owner_can_read_what_it_holds(node: EmbeddedNode) -> None:
    assert stat.S_IMODE(node.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(node.files.password.stat().st_mode) == 0o600
    assert len(node.files.password.read_text()) >= 32
    written = [path for folder in ("data", "conf") for path in (node.home / folder).rglob("*") if path.is_file()]
    assert [path for path in written if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_another_users_node_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(UsageError, match="belongs to another user: .*password cannot be read"):
        _ = EmbeddedNode(tmp_path / "_cassandra").files.has_data


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("place", [".", "conf/logback.xml"])
def test_what_another_user_can_exchange_is_not_started(tmp_path: Path, place: str) -> None:
    home = tmp_path / "_cassandra"
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "logback.xml").touch()
    os.chown(home / place, 4321, 4321)
    with pytest.raises(UsageError, match="belongs to another user: .*work as that user, give another target with"):
        EmbeddedNode(home).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_no_node_is_used_in_a_lake_of_another_user(tmp_path: Path) -> None:
    """That user could put another folder with another configuration into its place."""
    os.chown(tmp_path, 4321, 4321)
    for use in (EmbeddedNode(tmp_path / "_cassandra").start, EmbeddedNode(tmp_path / "_cassandra").in_use().__enter__):
        with pytest.raises(UsageError, match="belongs to another user, who could exchange the lake's Cassandra node"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_a_client_knows_the_node_before_it_sends_the_password(node: EmbeddedNode, tmp_path: Path) -> None:
    """When the node ends, anybody may take its port, and clients that live on connect again by themselves."""
    access, other = node.start(), tmp_path / "other.pem"
    other.write_bytes(certificates.identity("cassandra", "hush").certificate)
    with pytest.raises(UsageError, match="its certificate is not one that the given authority vouches for"):
        connect(replace(access, ca_file=other))
    with connected(replace(access, ca_file=None)) as session:  # other tools, which know user and password alone
        assert session.execute("SELECT cluster_name FROM system.local").one() is not None


def test_a_cache_that_can_only_be_read_does_for_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: FileLock) -> FileLock:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FileLock, "__enter__", refuse)
    with EmbeddedNode(tmp_path)._one_chooser_of_ports():
        pass


def test_no_other_port_is_open_and_that_of_other_nodes_needs_a_key(node: EmbeddedNode) -> None:
    pid, kept = node.status()["pid"], node.files.kept()
    if not Path(f"/proc/{pid}/fd").exists():
        pytest.skip("no /proc here")
    assert listening(pid) == {kept["native_port"], kept["storage_port"]}  # none for JMX
    assert not list(Path("/tmp").glob(f"hsperfdata_*/{pid}"))
    greeting = bytes.fromhex("ca552dfa 0c0c0016") + bytes(24)  # as another node greets
    with socket.create_connection(("127.0.0.1", kept["storage_port"]), timeout=10) as plain:
        plain.sendall(greeting)
        assert plain.recv(64)[:1] in (b"", b"\x15")  # closed, or an alert of TLS

    def greet_over_tls() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", kept["storage_port"]), timeout=10) as raw,
            context.wrap_socket(raw) as stranger,
        ):
            stranger.sendall(greeting)
            stranger.recv(64)

    with pytest.raises(OSError, match="(?i)certificate|alert|closed|reset"):
        greet_over_tls()


def test_it_takes_no_secret_along(node: EmbeddedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("no /proc here")
    node.stop()
    monkeypatch.setenv("ASTRA_DB_APPLICATION_TOKEN", "AstraCS:secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    node.start()
    proc = Path(f"/proc/{node.status()['pid']}")
    names = {entry.partition("=")[0] for entry in (proc / "environ").read_text().split("\0") if entry}
    assert names <= {"PATH", "HOME", "LD_LIBRARY_PATH", "LC_ALL", "MALLOC_ARENA_MAX"}
    assert node.files.password.read_text() not in (proc / "cmdline").read_text()


def test_who_logs_in_while_it_is_set_up_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its first listening and the making of its own user it knows `cassandra`, as everybody does.

    Who made our role before us, logged in as it, and dropped it again, leaves no name but ours: only a connection.
    """
    node = EmbeddedNode(tmp_path / "_cassandra")
    make_user, left = EmbeddedNode._make_user, []

    def be_quicker(node: EmbeddedNode, deadline: float, hashed: str) -> None:
        while True:
            try:
                with connected(replace(node.access, login=Login("cassandra", "cassandra", "-"))) as session:
                    session.execute(f"CREATE ROLE {USER} WITH PASSWORD = 'evil' AND SUPERUSER = true AND LOGIN = true")
                    left.append(connect(replace(node.access, login=Login(USER, "evil", "-"))))
                    session.execute(f"DROP ROLE {USER}")
                break
            except UsageError:
                time.sleep(0.05)
        make_user(node, deadline, hashed)

    monkeypatch.setattr(EmbeddedNode, "_make_user", be_quicker)
    with pytest.raises(PipelineError, match="somebody else has logged in .*cassandra reset"):
        node.start()
    assert node.status()["pid"] is None
    monkeypatch.undo()
    for stranger in left:
        stranger.cluster.shutdown()
    with node.in_use() as access, connected(access) as session:  # he is gone and left no login
        session.execute("CREATE ROLE evil WITH PASSWORD = 'evil' AND SUPERUSER = true AND LOGIN = true")
    node.files.secured.unlink()
    with pytest.raises(PipelineError, match="somebody else has logged in"):
        node.start()
    node.reset()
    assert not node.files.password.exists()
    with node.in_use() as access, connected(access):
        pass


@pytest.mark.slow
def test_a_node_of_an_older_version_keeps_its_rows_and_gets_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "_cassandra"
    as_before = {"authenticator": "AllowAllAuthenticator", "authorizer": None, "role_manager": None}
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedNode, "_secure", lambda *_: None)
        old = EmbeddedNode(home, extra_yaml=as_before)
        anybody = replace(old.start(), login=None)
    with connected(anybody) as session:
        for statement in SCHEMA:
            session.execute(statement)
        session.execute("INSERT INTO k.numbers (id) VALUES (1)")
    (home / "password").unlink()
    old.files.keep(new=None)
    before = old.status()["pid"]
    node = EmbeddedNode(home)
    node.start()  # the old one has been running all the time
    try:
        assert node.status()["pid"] != before
        assert select(node, "SELECT id FROM k.numbers") == [{"id": 1}]
        with pytest.raises(UsageError), connected(anybody):
            pass
    finally:
        node.stop()


def test_memory_stays_below_one_gigabyte(node: EmbeddedNode) -> None:
    asked = ["ps", "-o", "rss=", "-p", str(node.status()["pid"])]
    kilobytes = int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    assert kilobytes < 1_000_000


def test_kill_9_loses_no_acknowledged_write(node: EmbeddedNode) -> None:
    acknowledged: list[int] = []
    before = node.status()
    session = connect(node.access)
    session.set_keyspace("k")
    insert = session.prepare("INSERT INTO numbers (id) VALUES (?)")

    def write(first: int) -> None:
        for number in range(first, 1_000_000, 8):
            try:
                session.execute(insert, (number,), timeout=5)
            except Exception:
                return
            acknowledged.append(number)

    writers = [threading.Thread(target=write, args=(first,)) for first in range(8)]
    for writer in writers:
        writer.start()
    until = time.monotonic() + 30
    while len(acknowledged) < 300 and time.monotonic() < until:
        time.sleep(0.01)
    kill(node)
    for writer in writers:
        writer.join()
    session.cluster.shutdown()
    assert len(acknowledged) >= 300

    assert node.start().port == before["port"]
    assert node.status()["pid"] != before["pid"]
    assert set(acknowledged) <= {row["id"] for row in select(node, "SELECT id FROM k.numbers")}


def test_a_stale_state_file_names_nobody(node: EmbeddedNode) -> None:
    kill(node)
    node.files.keep(pid=os.getpid())  # the number was given to another process since
    assert node.status()["running"] is False
    assert node.stop() is False
    port = node.start()
    assert node.status()["pid"] != os.getpid()
    node.files.keep(pid=None)  # the starter was killed before it could note the process
    assert EmbeddedNode(node.home).status()["pid"] is not None
    assert EmbeddedNode(node.home).start() == port


def test_stop_and_start_again_keep_port_and_rows(node: EmbeddedNode) -> None:
    with connected(node.access) as session:
        session.execute("INSERT INTO k.numbers (id) VALUES (-1)")
    before = node.status()
    assert node.stop() is True
    assert node.status() == {**before, "running": False, "pid": None}
    assert daemon.find(f"-Dcloud_analytics.home={node.home}", before["pid"]) is None
    assert node.stop() is False
    assert node.start().port == before["port"]
    assert select(node, "SELECT id FROM k.numbers WHERE id = -1") == [{"id": -1}]


def test_a_folder_that_is_a_link_is_not_taken_for_a_node(tmp_path: Path) -> None:
    """A lake may come from somebody else: `reset` would delete what the link leads to, `start` overwrite it."""
    home, elsewhere = tmp_path / "_cassandra", tmp_path / "elsewhere"
    (elsewhere / "data").mkdir(parents=True)
    home.symlink_to(elsewhere)
    for act in (EmbeddedNode(home).reset, EmbeddedNode(home).stop, EmbeddedNode(home).start):
        with pytest.raises(UsageError, match=r"_cassandra is no file of a Cassandra node: delete "):
            act()
    assert [path.name for path in elsewhere.iterdir()] == ["data"]


@pytest.mark.parametrize("port", ['"80"', "99999999", "[1]", "80.5", "-1", "true"])
def test_ports_that_are_none_are_taken_for_lost(tmp_path: Path, port: str) -> None:
    (tmp_path / "node.json").write_text(f'{{"native_port": {port}, "stays": true}}')
    assert NodeFiles(tmp_path).kept() == {}


@pytest.mark.parametrize("place", ["logs/output.log", "conf", "node.json.part"])
def test_no_file_is_written_through_a_link_in_its_folder(tmp_path: Path, place: str) -> None:
    home, elsewhere = tmp_path / "_cassandra", tmp_path / "elsewhere"
    (home / place).parent.mkdir(parents=True)
    (home / "node.json").write_text('{"stays": true}')
    elsewhere.write_text("kept")
    (home / place).symlink_to(elsewhere)
    with pytest.raises(UsageError, match=f"{place} is no file of a Cassandra node: delete "):
        EmbeddedNode(home).start()
    EmbeddedNode(home).stop()
    assert elsewhere.read_text() == "kept"


def test_jars_of_triggers_that_lie_in_its_folder_are_not_run(node: EmbeddedNode) -> None:
    """Cassandra would load any class of them that a table names, and a lake may come from somebody else."""
    node.stop()
    for place in ("conf/triggers", "tmp/triggers"):
        (node.home / place).mkdir(parents=True, exist_ok=True)
        (node.home / place / "strange.jar").write_bytes(b"")
    node.start()
    command = Path(f"/proc/{node.status()['pid']}/cmdline").read_text().split("\0")
    (folder,) = [option.partition("=")[2] for option in command if option.startswith("-Dcassandra.triggers_dir=")]
    assert list(Path(folder).iterdir()) == []


def test_a_port_that_someone_took_is_chosen_anew(node: EmbeddedNode) -> None:
    with connected(node.access) as session:
        session.execute("INSERT INTO k.numbers (id) VALUES (-2)")
    kept = node.files.kept()
    node.stop()
    with (
        socket.create_server(("127.0.0.1", kept["native_port"])),
        socket.create_server(("127.0.0.1", kept["storage_port"])),
    ):
        assert node.status()["running"] is False
        chosen = node.start().port
    assert chosen != kept["native_port"]
    assert select(node, "SELECT id FROM k.numbers WHERE id = -2") == [{"id": -2}]


@pytest.mark.parametrize(("before", "starters"), [("stopped", 3), ("running", 30)])
def test_several_starters_start_one_node(node: EmbeddedNode, before: str, starters: int) -> None:
    if before == "stopped":
        node.stop()
    ports: list[int] = []
    threads = [
        threading.Thread(target=lambda: ports.append(EmbeddedNode(node.home).start().port)) for _ in range(starters)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ports == [port_of(node)] * starters
    marker = f" -Dcloud_analytics.home={node.home} "
    assert len([pid for pid in daemon._pids() if marker in daemon._command(pid)]) == 1


def test_errors_of_statements_are_one_line(node: EmbeddedNode) -> None:
    with (
        connected(node.access) as session,
        pytest.raises(PipelineError) as failure,
        readable_errors("cannot read the costs"),
    ):
        session.execute("SELECT nothing FROM k.costs")
    assert str(failure.value).startswith("cannot read the costs: ")
    assert "\n" not in str(failure.value)


def test_a_node_that_hangs_is_reported_and_stopped(node: EmbeddedNode) -> None:
    os.kill(node.status()["pid"], signal.SIGSTOP)
    impatient = EmbeddedNode(node.home, start_timeout=1, stop_timeout=1)
    with pytest.raises(PipelineError, match="does not answer after 1 s: see .*system.log"):
        impatient.start()
    assert impatient.stop() is True
    assert impatient.status()["running"] is False


def test_a_start_that_fails_says_where_to_look(node: EmbeddedNode) -> None:
    node.stop()
    wrong = EmbeddedNode(node.home, extra_yaml={"no_such_option": 1})
    with pytest.raises(PipelineError, match="ended while it started: see .*system.log") as failure:
        wrong.start()
    assert "\n" not in str(failure.value)
    assert wrong.status()["running"] is False


def test_an_unreachable_node_is_one_line(node: EmbeddedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    port, access = port_of(node), node.access
    node.stop()
    monkeypatch.setattr("cloud_analytics.serving.connect.CONNECT_TIMEOUT", 2.0)
    with pytest.raises(PipelineError) as failure:
        connect(access)
    assert str(failure.value).startswith(f"cannot reach Cassandra at 127.0.0.1, port {port} (")
    assert "\n" not in str(failure.value)


def test_a_home_deleted_under_its_node_leaves_no_process(node: EmbeddedNode) -> None:
    first = node.status()["pid"]
    # The living node makes and drops files meanwhile, which one pass may trip over.
    for _ in range(50):
        shutil.rmtree(node.home, ignore_errors=True)
        if not node.home.exists():
            break
    assert not node.home.exists()
    marker = f"-Dcloud_analytics.home={node.home}"
    lives = daemon.find(marker, first) is not None  # or it has missed its files, and ended by itself
    assert EmbeddedNode(node.home).stop() is lives
    assert daemon.find(marker, first) is None
    assert EmbeddedNode(node.home).start().port > 0
    assert select(node, "SELECT * FROM system_schema.keyspaces WHERE keyspace_name = 'k'") == []


def test_the_last_user_ends_the_node_unless_it_was_told_to_start(tmp_path: Path) -> None:
    node = EmbeddedNode(tmp_path / "_cassandra")
    with node.in_use() as port:
        with EmbeddedNode(node.home).in_use() as same:
            assert same == port
        assert node.status()["running"]
    assert not node.status()["running"]
    node.start()
    with EmbeddedNode(node.home).in_use() as same:
        assert same == port
    assert node.status()["running"]
    assert node.stop()
    with node.in_use():
        pass
    assert not node.status()["running"]


def garbled(at: int) -> Callable[[Path], None]:
    """A disk that wrote something else there."""

    def garble(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(random.Random(7).randbytes(400))

    return garble


def cut_short(path: Path) -> None:
    """A disk that was full, or a copy that was ended."""
    os.truncate(path, path.stat().st_size // 3)


@pytest.mark.parametrize(
    ("files", "harm", "killed"),
    [
        ("commitlog/*.log", garbled(3_000), True),
        pytest.param("commitlog/*.log", garbled(0), True, marks=pytest.mark.slow),
        pytest.param("data/k/numbers-*/*-Data.db", garbled(10), False, marks=pytest.mark.slow),
        pytest.param("data/k/numbers-*/*-Data.db", cut_short, False, marks=pytest.mark.slow),
        pytest.param("data/k/numbers-*/*-Statistics.db", garbled(10), False, marks=pytest.mark.slow),
        pytest.param("data/k/numbers-*/*-Index.db", garbled(10), False, marks=pytest.mark.slow),
        pytest.param("data/system_auth/roles-*/*-Data.db", garbled(10), False, marks=pytest.mark.slow),
        pytest.param("data/system_schema/tables-*/*-Data.db", garbled(10), False, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_node_says_what_to_do_and_reset_does_it(
    node: EmbeddedNode, files: str, harm: Callable[[Path], None], killed: bool
) -> None:
    with connected(node.access) as session:
        session.set_keyspace("k")
        insert = session.prepare("INSERT INTO numbers (id) VALUES (?)")
        for number in range(1_000):
            session.execute(insert, (number,))
    if killed:
        kill(node)
    else:
        node.stop()
    found = list((node.home / "data").glob(files))
    assert found
    for path in found:
        harm(path)

    def read() -> None:
        with node.in_use() as access, connected(access) as session, readable_errors("cannot read"):
            session.set_keyspace("k")
            list(session.execute("SELECT * FROM numbers"))

    for _ in range(2):  # for ever
        with pytest.raises(
            StoreDamaged, match="damaged .*derived from Gold.* `cloud-analytics cassandra reset`"
        ) as told:
            read()
        assert "\n" not in str(told.value)
    node.reset()
    assert not node.files.has_data
    assert node.start().port
    assert select(node, "SELECT * FROM system_schema.keyspaces WHERE keyspace_name = 'k'") == []


class _Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def test_a_reset_that_dies_leaves_no_part_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with some of its files starts, and its identity may be among them: it would lack rows without a word."""
    home = tmp_path / "_cassandra"
    table = home / "data" / "data" / "k" / "numbers"
    table.mkdir(parents=True)
    for name in ("nb-1-big-Data.db", "nb-2-big-Data.db"):
        (table / name).touch()
    files, unlink = NodeFiles(home), os.unlink
    left = iter([unlink])

    def dies(*path: Any, **options: Any) -> None:
        delete = next(left, None)
        if delete is None:
            raise _Killed
        delete(*path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", dies)
        with pytest.raises(_Killed):
            files.clear()
    assert not files.has_data
    (home / "conf").mkdir(exist_ok=True)
    files.prepare(20_001, 20_002, {})
    assert not list(home.rglob("*-Data.db"))


def test_damage_that_stands_in_the_log_of_the_last_start_is_told_before_the_next_one(tmp_path: Path) -> None:
    """The command that met it may have ended before the node wrote it down, and a start begins a new log."""
    node = EmbeddedNode(tmp_path / "_cassandra")
    (node.home / "logs").mkdir(parents=True)
    (node.home / "logs" / "system.log").write_text("ERROR CorruptSSTableException: Corrupted: nb-1-big-Data.db\n")
    with pytest.raises(StoreDamaged, match="nb-1-big-Data.db"):
        node.start()
    assert node.status()["pid"] is None
    node.reset()
    assert not (node.home / "logs").exists()


def test_a_full_disk_is_one_line_with_the_path_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    told = rf"cannot write to {tmp_path} \(No space left on device\): make room there, give another folder"
    node = EmbeddedNode(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(NodeFiles, "_write", full)
        with pytest.raises(UsageError, match=told):
            node.start()
        with pytest.raises(UsageError, match=told), node.in_use():
            pass
        (tmp_path / "node.json").write_text('{"stays": true}')
        with pytest.raises(UsageError, match=told):
            node.stop()


def test_a_node_that_ends_for_want_of_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = EmbeddedNode(tmp_path)
    monkeypatch.setattr(node, "_launch", lambda *_: node.files.keep(native_port=1, storage_port=2))  # and it is gone
    with pytest.raises(PipelineError, match="ended while it started"):
        node.start()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3 << 20))
    with pytest.raises(UsageError, match=rf"needs 64 MiB at {tmp_path}, and 3 are free: make room there"):
        node.start()
