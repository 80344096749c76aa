"""An S3 of the tests' own: a local server, a fresh bucket for each test."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pyspark.sql import SparkSession

_KEYS = {"aws_access_key_id": "tests", "aws_secret_access_key": "of-this-project"}
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Bucket:
    """A bucket and how to reach it."""

    name: str
    client: Any
    options: dict[str, str]

    def uri(self, path: str) -> str:
        return f"s3a://{self.name}/{path}"

    def upload(self, folder: Path, prefix: str) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.client.upload_file(str(path), self.name, f"{prefix}/{path.relative_to(folder).as_posix()}")

    def keys(self, prefix: str) -> list[str]:
        """The objects below a prefix, S3A's markers of empty folders left out."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", []) if not item["Key"].endswith("/")]

    def download(self, prefix: str, folder: Path) -> Path:
        """The data below a prefix as local files."""
        for key in self.keys(prefix):
            if "/_" not in key:
                target = folder / key
                target.parent.mkdir(parents=True, exist_ok=True)
                self.client.download_file(self.name, key, str(target))
        return folder / prefix


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, spark: SparkSession) -> Bucket:
    """A new bucket, which the tests' session can reach; a session keeps its connections by bucket name."""
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1", **_KEYS)
    name = f"bucket-{next(_NUMBERS)}"
    client.create_bucket(Bucket=name)
    options = {
        "fs.s3a.endpoint": s3_server,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.access.key": _KEYS["aws_access_key_id"],
        "fs.s3a.secret.key": _KEYS["aws_secret_access_key"],
        "fs.s3a.attempts.maximum": "2",
        "fs.s3a.retry.limit": "2",
    }
    for key, value in options.items():
        spark.sparkContext._jsc.hadoopConfiguration().set(key, value)
    return Bucket(name, client, options)
