"""Writes docs/configuration.md from the sections themselves: `python -m clvsync.config.reference`."""

from __future__ import annotations

import sys
import types
import typing
from datetime import timedelta
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from clvsync.config.section import Section
from clvsync.config.sections import Config
from clvsync.config.units import Percentile, Schedule

_INTRODUCTION = """\
# The configuration

One YAML file, `clvsync.yaml`; [clvsync.example.yaml](clvsync.example.yaml) is one to start from. Unknown keys
are errors that name the nearest known key, with the line. `${NAME}` takes a value from the environment or
from `.env` beside the file (the environment wins); `${file:PATH}` takes the content of a secret file. Paths
are relative to the file. Durations are written like `365 days` or `4 hours`, shares like `10%` or `0.1`,
limits as an amount or a percentile such as `p99`. `clvsync schema` prints the JSON Schema for an editor.

This page is made from the code by `python -m clvsync.config.reference`; a test keeps the two together.
"""


def reference() -> str:
    """The page."""
    parts = [_INTRODUCTION]
    seen: set[type[Section]] = set()
    waiting: list[tuple[str, type[Section]]] = [("(top level)", Config)]
    while waiting:
        place, section = waiting.pop(0)
        if section in seen:
            continue
        seen.add(section)
        parts.append(_table(place, section))
        for name, field in section.model_fields.items():
            below = name if section is Config else f"{place}.{name}"
            waiting += [(_place(below, found), found) for found in _sections(field.annotation)]
    return "\n".join(parts)


def _place(below: str, section: type[Section]) -> str:
    to = section.model_fields.get("to")
    return f"{below}, to: {get_args(to.annotation)[0]}" if to is not None else below


def _table(place: str, section: type[Section]) -> str:
    own = (section.__dict__.get("__doc__") or "").strip()
    lines = [f"## {place}", ""]
    if own and section is not Config:
        lines += [" ".join(own.split()), ""]
    lines += ["| key | | default | |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        lines.append(
            f"| `{field.alias or name}` | {_kind(field.annotation)} | {_default(field)} | {_about(field)} |"
        )
    return "\n".join(lines) + "\n"


def _about(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = (
        field.default
        if field.default is not PydanticUndefined
        else field.get_default(call_default_factory=True)
    )
    if value is None or isinstance(value, Section) or value == {}:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{_duration(value)}`"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key}: {one}" for key, one in value.items()) + "}`"
    return f"`{value}`"


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin is typing.Annotated:
        return _kind(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        kinds = [_kind(part) for part in get_args(annotation) if part is not type(None)]
        return " or ".join(dict.fromkeys(kinds))
    if origin is list:
        return "list"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "section"
    names = {
        "str": "text",
        "SecretStr": "secret",
        "bool": "true or false",
        "timedelta": "duration",
        "Decimal": "number",
        "float": "number",
        "Path": "path",
        Percentile.__name__: "percentile",
        Schedule.__name__: "schedule",
    }
    return names.get(getattr(annotation, "__name__", ""), "")


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Section) else []
    return [found for part in get_args(annotation) for found in _sections(part)]


if __name__ == "__main__":
    sys.stdout.write(reference())
