"""Operating-system functions for the embedded node: free ports, processes, and a check that CQL answers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cloud_analytics.errors import PipelineError
from cloud_analytics.serving.connect import trusting

# Below the ports that systems give to outgoing connections, so that the node's port is likely free at the next start.
_PORTS = range(20_000, 32_000)
_OPTIONS_FRAME = bytes.fromhex("04 00 0000 05 00000000")  # version 4, stream 0, OPTIONS, no body
_SUPPORTED = 0x06
_ROUNDS = "4"  # of the password hash, as in jvm.options: the password is random, so more rounds add no protection
_PROC = Path("/proc/self/cmdline").exists()  # macOS has no /proc: `ps` replaces it


def answers(host: str, port: int, certificate: Path) -> bool:
    """Whether the CQL server with this certificate answers an OPTIONS request, which is sent without the driver."""
    try:
        with socket.create_connection((host, port), timeout=2.0) as plain:
            plain.settimeout(5.0)
            with trusting(certificate).wrap_socket(plain) as connection:
                connection.sendall(_OPTIONS_FRAME)
                header = connection.recv(9)
    except OSError:  # includes ssl.SSLError
        return False
    return len(header) == 9 and header[4] == _SUPPORTED


def free_ports(host: str, wanted: Sequence[int | None]) -> list[int]:
    """A free port for each of `wanted`: that port if it is free, else a random free port."""
    chosen: list[int] = []
    for port in wanted:
        while port is None or port in chosen or not _is_free(host, port):
            port = random.choice(_PORTS)
        chosen.append(port)
    return chosen


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find(argument: str, likely: int | None = None) -> int | None:
    """The id of the process with this argument on its command line; None if there is none. Tries `likely` first."""
    if likely is not None and f" {argument} " in _command(likely):
        return likely
    return next((pid for pid in _pids() if f" {argument} " in _command(pid)), None)


def _pids() -> list[int]:
    listed = os.listdir("/proc") if _PROC else _ps("-A", "-o", "pid=").split()
    return [int(entry) for entry in listed if entry.isdigit()]


def _command(pid: int) -> str:
    """The command line of a process, with a blank before and after each word; blank if the process is gone."""
    if not _PROC:
        return f" {_ps('-p', str(pid), '-o', 'command=').strip()} "
    try:
        return " " + os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ")
    except OSError:
        return ""


def _ps(*options: str) -> str:
    return subprocess.run(["ps", "-ww", *options], capture_output=True, text=True, check=False).stdout


def send(pid: int, sign: signal.Signals) -> None:
    """Send a signal to a process. Does nothing if the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def hashed(java: Path, classpath: Sequence[Path], password: Path) -> str:
    """The hash of the password in this file, as Cassandra stores it. PipelineError if Java fails.

    Only the file's name is on the command line, never the password.
    """
    command = [str(java), "-XX:TieredStopAtLevel=1", "-cp", os.pathsep.join(map(str, classpath))]
    command += ["org.apache.cassandra.tools.HashPassword", "--input", str(password), "--logrounds", _ROUNDS]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError(f"the password of the Cassandra node cannot be hashed: {done.stderr.strip()[:200]}")
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """The environment of the daemon: the variables to find programs and libraries, and none of our secrets.

    The locale is UTF-8, so that Java can open paths with any letters. Two malloc arenas save memory.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
    return {**inherited, "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
