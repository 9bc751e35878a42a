"""JSON Patch (RFC 6902), as AG-UI's deltas of state carry it. Pure: a patched copy, or a fault."""

import copy
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, TypeVar, assert_never, cast

import msgspec

Box: TypeAlias = dict[str, object] | list[object]
T = TypeVar("T")


class Operation(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """One operation. `value` goes with add, replace and test, `from_` with move and copy."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: str
    from_: str = ""
    value: object = None


class PatchFault(ValueError):
    """An operation doesn't fit what it is applied to."""


def patched(document: object, operations: Sequence[Operation]) -> object:
    """`document` with the operations applied, all or none. Raises PatchFault."""
    holder: dict[str, object] = {"": copy.deepcopy(document)}
    for operation in operations:
        _apply(holder, operation)
    return holder[""]


def _apply(holder: dict[str, object], operation: Operation) -> None:
    path, source = operation.path, operation.from_
    match operation.op:
        case "add":
            _add(holder, path, operation.value)
        case "remove":
            _take(holder, path)
        case "replace":
            _replace(holder, path, operation.value)
        case "move":
            if path.startswith(source + "/"):
                raise PatchFault(f"{source} can't be moved into itself")
            _add(holder, path, _take(holder, source))
        case "copy":
            _add(holder, path, copy.deepcopy(_look(holder, source)))
        case "test":
            if _look(holder, path) != operation.value:
                raise PatchFault(f"{path} isn't what it was tested for")
        case _:
            assert_never(operation.op)


def _add(holder: dict[str, object], path: str, value: object) -> None:
    box, key = _box(holder, path)
    if isinstance(box, dict):
        box[key] = value
    elif key == "-":
        box.append(value)
    else:
        box.insert(_index(key, len(box), path), value)


def _replace(holder: dict[str, object], path: str, value: object) -> None:
    def put(box: Box, key: str | int) -> None:
        cast("dict[str | int, object]", box)[key] = value

    _at(holder, path, put)


def _take(holder: dict[str, object], path: str) -> object:
    return _at(holder, path, lambda box, key: cast("dict[str | int, object]", box).pop(key))


def _look(holder: dict[str, object], path: str) -> object:
    return _at(holder, path, lambda box, key: cast("dict[str | int, object]", box)[key])


def _at(holder: dict[str, object], path: str, do: Callable[[Box, str | int], T]) -> T:
    """Do something with what stands at a path. Raises PatchFault if nothing does."""
    box, key = _box(holder, path)
    if isinstance(box, list):
        return do(box, _index(key, len(box) - 1, path))
    if key not in box:
        raise PatchFault(f"there is nothing at {path}")
    return do(box, key)


def _box(holder: dict[str, object], path: str) -> tuple[Box, str]:
    """What holds the place that a path names, and the place's key in it. The holder's own key is empty."""
    *way, key = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    box: Box = holder
    for part in way:
        inner = box.get(part) if isinstance(box, dict) else box[_index(part, len(box) - 1, path)]
        if not isinstance(inner, dict | list):
            raise PatchFault(f"there is nothing at {path}")
        box = cast("Box", inner)
    return box, key


def _index(key: str, most: int, path: str) -> int:
    if not key.isdecimal() or not key.isascii() or not 0 <= int(key[:18]) <= most:
        raise PatchFault(f"there is nothing at {path}")
    return int(key)
