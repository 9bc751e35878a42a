"""Whether the arguments of a call fit the function: the refusal names the argument and its value."""

import re
from collections.abc import Iterator
from typing import TypeVar, cast

import msgspec

from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError

Fields = TypeVar("Fields", bound=msgspec.Struct)

MOST_SHOWN = 100
"""How many characters of a wrong value a refusal shows."""

_WHERE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_FIELD = re.compile(r"^Object (?P<fault>contains unknown|missing required) field `(?P<name>[^`]*)`$")


def converted(tool: str, arguments: Arguments, fields: type[Fields]) -> Fields:
    """The arguments as `fields` types them. Raises TenureError `invalid` if they don't fit."""
    given = integral(arguments)
    try:
        return msgspec.convert(given, fields)
    except msgspec.ValidationError as misfit:
        raise _refusal(tool, given, fields, str(misfit)) from misfit


def integral(value: object) -> object:
    """The same JSON with 5 in place of 5.0, which JSON doesn't tell apart."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: integral(one) for name, one in cast("dict[str, object]", value).items()}
        case list() | tuple():
            return [integral(one) for one in cast("list[object]", value)]
        case _:
            return value


def refusal(tool: str, field: str, value: object, fault: str) -> TenureError:
    """A value that doesn't fit, told with its field and what is wrong about it."""
    return TenureError(
        Code.INVALID,
        f"The tool {tool} can't take {shown(value)} as {field}: {fault}. Correct it and call again.",
        tool=tool,
        field=field,
    )


def shown(value: object) -> str:
    """A value as a refusal shows it."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def _refusal(tool: str, given: object, fields: type[msgspec.Struct], text: str) -> TenureError:
    where = _WHERE.search(text)
    path = where["path"] if where else ""
    fault = text[: where.start()] if where else text
    named = _FIELD.match(fault)
    known = ", ".join(fields.__struct_fields__) or "none"
    if named is None:
        return refusal(tool, path.lstrip(".") or "arguments", _value_at(given, path), _lower(fault))
    field = f"{path}.{named['name']}".lstrip(".")
    missing = named["fault"] == "missing required"
    return TenureError(
        Code.INVALID,
        f"The tool {tool} {'needs' if missing else 'has no'} argument {field!r}, and got "
        f"{shown(_value_at(given, path))}. Its arguments are: {known}.",
        tool=tool,
        field=field,
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _value_at(value: object, path: str) -> object:
    """The part of `value` at a path, or what leads to it where the path doesn't say more."""
    for step in _steps(path):
        match value, step:
            case dict(), str() if step in value:
                value = cast("dict[str, object]", value)[step]
            case list(), int() if step < len(cast("list[object]", value)):
                value = cast("list[object]", value)[step]
            case _:
                return value
    return value


def _steps(path: str) -> Iterator[str | int | None]:
    for step in _STEP.finditer(path):
        if step["index"] is not None:
            yield int(step["index"])
        else:
            yield step["name"]
