"""Struct types in words: what each field holds, and whether it is always there."""

import inspect
from collections.abc import Iterator
from datetime import date, datetime
from enum import EnumType
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, UNSET, UnsetType

from tools.reference.markdown import code

Struct = type[msgspec.Struct]

PLAIN: dict[object, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    NoneType: "null",
    date: "day, as `2026-11-20`",
    datetime: "time, as `2026-11-20T20:10:00Z`",
    object: "any JSON",
    Any: "any JSON",
    msgspec.Raw: "any JSON",
}


class Field(NamedTuple):
    """One field of a struct, in words."""

    name: str
    holds: str
    default: str


def fields(cls: Struct) -> list[Field]:
    """The fields of a struct, in the order of the wire."""
    hints = get_type_hints(cls, include_extras=True)
    return [Field(f.encode_name, holds(hints[f.name]), _default(f)) for f in msgspec.structs.fields(cls)]


def about(thing: object) -> str:
    """The docstring of a type, as one paragraph."""
    return " ".join((inspect.getdoc(thing) or "").split())


def structs_in(kind: object) -> Iterator[Struct]:
    """The structs that a type mentions directly."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for argument in get_args(kind):
        yield from structs_in(argument)


def within(cls: Struct) -> Iterator[Struct]:
    """The structs that the fields of a struct mention."""
    for hint in get_type_hints(cls).values():
        yield from structs_in(hint)


def holds(kind: object) -> str:
    """What a value of this type is."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, EnumType):
        return " or ".join(code(str(member.value)) for member in cast("list[Any]", list(kind)))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin in (Union, UnionType):
            return " or ".join(holds(one) for one in arguments if one is not UnsetType)
        case origin if origin is Annotated:
            return holds(arguments[0]) + _limits(arguments[1:])
        case origin if origin is Literal:
            return " or ".join(code(str(value)) for value in arguments)
        case origin if origin in (tuple, list):
            return f"list of {holds(arguments[0])}"
        case origin if origin is dict:
            return "object" if arguments[1] in (object, Any) else f"object of {holds(arguments[1])}"
        case _:
            raise TypeError(f"There are no words for the type {kind!r}. Add them to holds().")


def _limits(extras: tuple[object, ...]) -> str:
    words: list[str] = []
    for extra in extras:
        if isinstance(extra, msgspec.Meta):
            words += [f"at least {extra.ge}"] * (extra.ge is not None)
            words += [f"above {extra.gt}"] * (extra.gt is not None)
            words += [f"at most {extra.le}"] * (extra.le is not None)
            words += [f"at least {extra.min_length} characters"] * (extra.min_length is not None)
            words += [f"at most {extra.max_length} characters"] * (extra.max_length is not None)
            words += [f"like {code(extra.pattern or '')}"] * (extra.pattern is not None)
    return f", {', '.join(words)}" if words else ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    """The JSON of a field's default; empty if there is none."""
    if field.default is UNSET:
        return "left out"
    if field.default is not NODEFAULT:
        return code(msgspec.json.encode(field.default).decode())
    factory = field.default_factory
    return "" if factory is NODEFAULT else code(msgspec.json.encode(factory()).decode())
