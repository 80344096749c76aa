"""Reading YAML and validating it: every problem with its file, its key and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from importlib.abc import Traversable  # importlib.resources.abc from Python 3.11 on; the old place goes in 3.14

_SECRET = re.compile(r"secret|password|token|credential|access\.?key|AstraCS:", re.IGNORECASE)


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, and not the last one's."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and keys.count((key.tag, key.value)) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} stands twice", key.start_mark)
        return node


def read_yaml(path: Path | Traversable, problems: list[str]) -> dict[str, Any] | None:
    """The mapping that a file holds; None, and an entry in `problems`, where it holds none."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror}); give the folder with --conf")
        return None
    except (yaml.YAMLError, ValueError) as error:  # also of a date that is none
        where, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", ""))
        line = f" at line {where.line + 1}" if where else ""
        ours = f": {problem}" if problem.endswith("stands twice") else ""  # YAML's own may show a value
        problems.append(f"{path}: is not valid YAML{line}{ours}")
        return None
    if not isinstance(raw, dict):
        problems.append(f"{path}: must hold keys and values")
        return None
    return raw


def validated(model: type[BaseModel], raw: Any, file: str, problems: list[str], prefix: str = "") -> Any:
    """`raw` as the model; None, and an entry in `problems` for each key that is wrong, where it is not valid."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        for item in error.errors():
            key = prefix + ".".join(_named(raw, item["loc"]))
            problems.append(": ".join(filter(None, (file, key.rstrip("."), _allowed(key, item)))))
        return None


def _named(raw: Any, location: tuple[int | str, ...]) -> list[str]:
    """The parts of a key; an item of a list goes by its id, where it has one."""
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
    if item["type"] == "extra_forbidden":
        return "unknown key"
    message, found = str(item["msg"]).removeprefix("Value error, "), item["input"]
    told = f"{message[0].lower()}{message[1:]}"
    # Neither whole sections, nor what may be a secret in the wrong place.
    if isinstance(found, dict | list) or _SECRET.search(f"{key} {found}"):
        return told
    return f"{told} (found {found!r})"
