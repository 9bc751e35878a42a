"""The page of settings: flags, environment, tenure.toml, with their defaults."""

import ast
import builtins
import re
import types
import typing
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, cast, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from tenure.agent_tables import ConditionSettings
from tenure.config import Settings
from tools.reference.markdown import code, document, table
from tools.reference.reserved import SOURCE
from tools.reference.words import ENVIRONMENT, SETTINGS

INTRO = """\
A server takes each setting from the first place that has it: a flag of `tenure serve`, the environment,
`tenure.toml` in the home (or the file given with `--config`), the default. A wrong value is refused at
the start, with the name of the setting and the way out. Names with a dot are tables in TOML; in the
environment two underscores stand for the dot:

```toml
port = 9000

[limits]
open_sessions = 50

[agents.support]
target = "my_agents:support"
deadline_s = 600
```

```sh
TENURE_PORT=9000 TENURE_LIMITS__OPEN_SESSIONS=50 tenure serve
```

A limit of 0 allows none; a limit that is left out has its default."""

_WITHIN: dict[object, str] = {dict: ".NAME", tuple: "[]"}

PLAIN: dict[object, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "text that is never shown",
    ConditionSettings: "conditions by argument",
}


class Setting(NamedTuple):
    """One setting, in words."""

    name: str
    holds: str
    default: str

    @property
    def environment(self) -> str:
        """The variable that sets it; empty where the name has a part of one's own."""
        if "NAME" in self.name or "[]" in self.name:
            return ""
        return f"TENURE_{self.name.replace('.', '__').upper()}"


def settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Setting]:
    """Every setting of a model and of the models within it; those of tables of several kinds once each."""
    for name, field in model.model_fields.items():
        inner = _models_in(field.annotation)
        if not inner:
            yield Setting(prefix + name, _holds(field.annotation, field.metadata), _default(name, field))
            continue
        part = f"{prefix}{name}{_WITHIN.get(get_origin(field.annotation), '')}."
        yield from _merged(setting for kind in inner for setting in settings(kind, part))


def _merged(all_of_them: Iterable[Setting]) -> Iterator[Setting]:
    """Each name once. Where kinds of a table differ in what a setting holds, all of it is said."""
    by_name: dict[str, list[Setting]] = {}
    for setting in all_of_them:
        by_name.setdefault(setting.name, []).append(setting)
    for name, same in by_name.items():
        holds = ", ".join(dict.fromkeys(setting.holds for setting in same))
        yield Setting(name, holds, same[0].default)


def page() -> str:
    """The whole page."""
    rows = [
        [code(s.name), SETTINGS[s.name], s.holds, s.default, code(s.environment) if s.environment else ""]
        for s in settings()
    ]
    return document(
        "Settings",
        INTRO,
        table(["setting", "meaning", "holds", "default", "environment"], rows),
        "## Environment variables of their own",
        table(["variable", "meaning"], [[code(name), text] for name, text in ENVIRONMENT.items()]),
    )


def variables() -> set[str]:
    """The environment variables that the source names."""
    return {
        node.value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"TENURE_[A-Z_]+[A-Z]", node.value)
    }


def _models_in(kind: object) -> tuple[type[BaseModel], ...]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return (kind,)
    match get_origin(kind), get_args(kind):
        case builtins.dict, (_, inner):
            return _models_in(inner)
        case builtins.tuple, (inner, _):
            return _models_in(inner)
        case typing.Annotated, (inner, *_):
            return _models_in(inner)
        case ((types.UnionType | typing.Union), inner):
            found = [_models_in(one) for one in inner if one is not types.NoneType]
            return tuple(model for models in found for model in models) if all(found) else ()
        case _:
            return ()


def _holds(kind: object, limits: list[Any]) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in PLAIN:
        text = PLAIN[kind]
    elif origin is Literal:
        text = ", ".join(code(str(value)) for value in arguments)
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        text = ", ".join(code(value) for value in kind)
    elif origin is dict:
        text = f"table of {_holds(arguments[1], [])}"
    elif origin is tuple:
        text = f"list of {_holds(arguments[0], [])}"
    elif origin is Annotated:
        return _holds(arguments[0], list(arguments[1:]))
    elif origin in (Union, types.UnionType):
        text = " or ".join(_holds(one, []) for one in arguments if one is not types.NoneType)
    else:
        raise TypeError(f"There are no words for the type {kind!r}. Add them to _holds().")
    return text + "".join(_limit(limit) for limit in limits)


def _limit(limit: object) -> str:
    if isinstance(limit, FieldInfo):
        return "".join(_limit(inner) for inner in limit.metadata)
    match limit:
        case annotated_types.Ge(ge=least):
            return f", at least {least}"
        case annotated_types.MinLen(min_length=1):
            return ", not empty"
        case annotated_types.Gt(gt=below):
            return f", above {below}"
        case annotated_types.Le(le=most):
            return f", at most {most}"
        case object(pattern=str(pattern)):
            return f", as {code(pattern)}"
        case _:
            raise TypeError(f"There are no words for the limit {limit!r}. Add them to _limit().")


def _default(name: str, field: FieldInfo) -> str:
    if name == "home":
        return code("~/.tenure")
    if field.is_required():
        return "needed"
    default: object = field.default
    match default:
        case None | ():
            return "none"
        case tuple():
            return ", ".join(code(str(value)) for value in cast("tuple[object, ...]", default))
        case bool() as flag:
            return code(str(flag).lower())
        case value:
            return code(str(value))
