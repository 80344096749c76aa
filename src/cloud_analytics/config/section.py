"""The base class of all configuration sections, types of their values, and the reading of YAML files into sections.

Each problem names its file, its key and what is allowed.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from cloud_analytics.days import parse_duration

if TYPE_CHECKING:
    from importlib.abc import Traversable  # importlib.resources.abc since Python 3.11; this module loses it in 3.14

LARGEST_INT = 2**31 - 1
"""The largest integer that Spark accepts for a count."""
Exact = Annotated[Decimal, Field(lt=10**12, decimal_places=6), AfterValidator(lambda number: Decimal(f"{number:f}"))]
"""A number with which Spark computes exactly, like a cost. It has no exponent, since Spark accepts none above 0."""
SECRET = re.compile(
    r"secret|passw|passphrase|token|credential|(access|account|private|encryption)[._]?key|\bsas\b|AstraCS:",
    re.IGNORECASE,
)
"""Matches names of settings that may be secret, and the beginning of an Astra token."""


def _as_duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))


Duration = Annotated[timedelta, BeforeValidator(_as_duration)]


class Section(BaseModel):
    """A part of the configuration. It cannot be changed, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses a repeated key, whatever blanks surround it, and reads only decimal numbers."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                word = key.value.strip()
                if (key.tag, word) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"the key {word} stands twice", key.start_mark)
                seen.add((key.tag, word))
        return node

    def construct_number(self, node: yaml.ScalarNode) -> int | float | str:
        """The decimal number, or the text if it is not one. YAML 1.1 would read 010 as 8, 0x10 as 16, 1:30 as 90."""
        text = str(self.construct_scalar(node))
        digits = text.replace("_", "")
        if digits.lstrip("+-").isdecimal():
            return int(digits)
        return float(self.construct_yaml_float(node)) if node.tag == _FLOAT and ":" not in text else text


_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
for _tag in (_INT, _FLOAT):
    _Loader.add_constructor(_tag, _Loader.construct_number)


def read_yaml(path: Path | Traversable, problems: list[str]) -> dict[str, Any] | None:
    """The mapping in a file; if the file holds none, add an entry to `problems` and return None."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); give the folder with --conf"
    except RecursionError:
        problem = "is nested too deeply"
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date
        where, why = getattr(error, "problem_mark", None), str(getattr(error, "problem", ""))
        line = f" at line {where.line + 1}" if where else ""
        ours = f": {why}" if why.endswith("stands twice") else ""  # PyYAML's own messages may show a value
        problem = f"is not valid YAML{line}{ours}"
    else:
        if isinstance(raw, dict):
            return raw
        problem = "must hold keys and values"
    problems.append(f"{path}: {problem}")
    return None


def validated(kind: Any, raw: Any, file: str, problems: list[str]) -> Any:
    """`raw` as this type; if it is not valid, add an entry per wrong key to `problems` and return None."""
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        for item in error.errors():
            key = ".".join(_named(raw, item["loc"]))
            problems.append(": ".join(filter(None, (file, key, _allowed(key, item)))))
        return None


def _named(raw: Any, location: tuple[int | str, ...]) -> list[str]:
    """The parts of a key; an item of a list is named by its `id`, if it has one, instead of its number."""
    parts = []
    for part in location:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            raw = None
        name = raw.get("id") if isinstance(part, int) and isinstance(raw, dict) else None
        parts.append(str(part if name is None else name))
    return parts


def _allowed(key: str, item: Any) -> str:
    """What is allowed for a key, and the value found, unless the value is a section or may be a misplaced secret."""
    if item["type"] == "extra_forbidden":
        return "unknown key"
    message, found = str(item["msg"]).removeprefix("Value error, "), item["input"]
    message = f"{message[0].lower()}{message[1:]}"
    hidden = isinstance(found, dict | list) or SECRET.search(f"{key} {found}")
    return message if hidden else f"{message} (found {found!r})"
