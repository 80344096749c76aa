"""Targets elsewhere: a Cassandra cluster, or AstraDB, as the configuration and the environment describe them.

All problems of a target are told at once, before anything is connected to. Secrets come from the environment alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography import x509

from cloud_analytics.config import KEYSPACE_NAME, ServingSettings
from cloud_analytics.errors import ConfigError
from cloud_analytics.serving import bundle
from cloud_analytics.serving.access import Bundle, Direct, Login
from cloud_analytics.serving.target import ASTRA_KEYSPACE, Target

_TOKEN_BEGINS = "AstraCS:"
_TOKEN = re.compile(r"AstraCS:[A-Za-z0-9]+:[0-9A-Fa-f]{64}")
_USERNAME, _PASSWORD = "CASSANDRA_USERNAME", "CASSANDRA_PASSWORD"
SECRETS = ("ASTRA_DB_SECURE_BUNDLE", "ASTRA_DB_APPLICATION_TOKEN", ASTRA_KEYSPACE)
_BUNDLE, _TOKEN_NAME, _KEYSPACE = SECRETS
# AstraDB keeps its own compaction, whatever a table asks for.
_ASTRA_REFUSES = frozenset({"compaction"})

Environment = Mapping[str, str]


def cassandra(settings: ServingSettings, environment: Environment) -> Target:
    """A Cassandra cluster; ConfigError lists what is wrong."""
    chosen = settings.cassandra
    username, password = environment.get(_USERNAME, ""), environment.get(_PASSWORD, "")
    problems = []
    if bool(username) != bool(password):
        given, lacking = (_USERNAME, _PASSWORD) if username else (_PASSWORD, _USERNAME)
        problems.append(f"{lacking} is not set, and {given} is: set both, or neither where no login is needed")
    if chosen.ca_file is not None:
        problems += _of_authority(chosen.ca_file)
    elif password and not (chosen.is_local or chosen.plaintext):
        problems.append(
            f"pipeline.yaml: serving.cassandra: without ca_file {_PASSWORD} would go over the network unencrypted:"
            " name the cluster's certificate authority there, or set plaintext: true if the network can be trusted"
        )
    if problems:
        raise ConfigError(problems)
    login = Login(username, password, f"{_USERNAME} and {_PASSWORD}") if username else None
    return Target(
        access=Direct(tuple(chosen.contact_points), chosen.port, chosen.datacenter, login, chosen.ca_file),
        keyspace=chosen.keyspace,
        replication=chosen.strategy(),
        where_to_create="create it, or set serving.cassandra.replication in pipeline.yaml, with which it is created",
        requests_per_second=chosen.requests_per_second,
    )


def astra(settings: ServingSettings, environment: Environment) -> Target:
    """An AstraDB; ConfigError lists what is wrong with its bundle, token and keyspace."""
    path, token, keyspace = (environment.get(name, "").strip() for name in (_BUNDLE, _TOKEN_NAME, _KEYSPACE))
    problems = [] if path else [f"{_BUNDLE} is not set: the path of the secure connect bundle (a zip file)"]
    if path.startswith(_TOKEN_BEGINS):
        problems.append(f"{_BUNDLE} holds a token: it takes the path of the secure connect bundle")
    elif path:
        problems += [f"{_BUNDLE}: {problem}" for problem in bundle.problems(Path(path).expanduser())]
    if not _TOKEN.fullmatch(token):
        what = "has not the form of a token" if token else "is not set"
        problems.append(f"{_TOKEN_NAME} {what}: AstraCS:…:…, as the Astra console generates it")
    if not re.fullmatch(KEYSPACE_NAME, keyspace):
        named = "holds a token" if keyspace.startswith(_TOKEN_BEGINS) else f"{keyspace!r} is no keyspace name"
        what = named if keyspace else "is not set"
        problems.append(f"{_KEYSPACE} {what}: lower-case letters, digits and _, at most 48")
    if problems:
        raise ConfigError(problems)
    return Target(
        access=Bundle(Path(path).expanduser(), Login("token", token, _TOKEN_NAME)),
        keyspace=keyspace,
        where_to_create=f"create it in the Astra console, or set {_KEYSPACE} to one that is there",
        left_out=_ASTRA_REFUSES,
        requests_per_second=settings.astra.requests_per_second,
        monthly_writes=settings.astra.monthly_writes,
    )


TARGETS: dict[str, Callable[[ServingSettings, Environment], Target]] = {"cassandra": cassandra, "astra": astra}


def _of_authority(path: Path) -> list[str]:
    key = "serving.cassandra.ca_file"
    try:
        x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        return [f"pipeline.yaml: {key}: {path} cannot be read ({error.strerror})"]
    except ValueError:
        return [f"pipeline.yaml: {key}: {path} holds no certificate in PEM form"]
    return []
