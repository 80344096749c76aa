"""py4j sends no more messages than needed: what it found is kept, and lists go in large parts."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture
def asked(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that py4j sends."""
    jvm: Any = spark.sparkContext._jvm
    client, commands = type(jvm._gateway_client), []
    send = client.send_command

    def recorded(self: Any, command: str, *args: Any, **options: Any) -> Any:
        commands.append(command)
        return send(self, command, *args, **options)

    monkeypatch.setattr(client, "send_command", recorded)
    return commands


def test_packages_classes_and_static_methods_are_looked_up_once(spark: SparkSession, asked: list[str]) -> None:
    jvm: Any = spark.sparkContext._jvm
    assert jvm.java.time.Duration.ofMinutes(2).getSeconds() == 120
    first = len(asked)
    assert jvm.java.time.Duration.ofMinutes(3).getSeconds() == 180
    assert [command[0] for command in asked[first:] if not command.startswith("m\n")] == ["c", "c"]


def test_values_and_unknown_classes_are_asked_for_each_time(spark: SparkSession, asked: list[str]) -> None:
    jvm: Any = spark.sparkContext._jvm
    assert jvm.java.lang.Long.MAX_VALUE == jvm.java.lang.Long.MAX_VALUE == 2**63 - 1
    assert jvm.com.example.NotHere is not jvm.com.example.NotHere  # a later jar may bring it
    assert sum("MAX_VALUE" in command for command in asked) == 2
    assert sum("NotHere" in command for command in asked) == 2


@pytest.mark.parametrize("size", [0, 1, 2, 10, 11, 25])
def test_lists_arrive_whole_in_few_messages(spark: SparkSession, asked: list[str], size: int) -> None:
    jvm: Any = spark.sparkContext._jvm
    items = [[number, str(number)] for number in range(size)]
    sent = jvm.java.util.ArrayList(items)
    assert len([command for command in asked if not command.startswith("m\n")]) <= size + 8
    assert [list(pair) for pair in sent] == items
    assert [list(pair) for pair in jvm.java.util.ArrayList([*items, [None, "null"], None])[:-1]] == [
        *items,
        [None, "null"],
    ]
