"""The decorator `tool`, and what it makes of a typed Python function: a definition with a schema.

Users import it from `tenure`; `tools/calling.py` calls it. The schema of the arguments comes from the
function's signature. Nothing here starts anything, and importing it is cheap.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Generic, Literal, ParamSpec, TypeAlias, TypeVar, get_type_hints, overload

import msgspec

from tenure.core.principal import Role
from tenure.core.tool import ALWAYS, CONDITIONS, NEVER, ApprovalRule, Arguments, Condition, Replay, ToolInfo
from tenure.errors import ConfigError
from tenure.ports.tool import ToolCall, Verified
from tenure.tools.arguments import converted
from tenure.tools.identity import fingerprint

P = ParamSpec("P")
R = TypeVar("R")
Returned = TypeVar("Returned", covariant=True)

Approval: TypeAlias = Literal["never", "always"] | Mapping[str, Mapping[str, object]]
"""When a person is asked: never, always, or when the arguments are as the conditions by name say."""

Verifier: TypeAlias = Callable[
    [ToolCall], Verified | bool | Awaitable[Verified] | Awaitable[bool | None] | None
]
"""Says whether a call was done: True, False, None for unknown, or `Verified` with the result."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_UNCHANGING = (str, int, float, bool, bytes, type(None))


class ToolDefinition(Generic[P, Returned]):
    """A tool as `tool` makes it. It can still be called like the function, so that a test can drive it."""

    def __init__(
        self,
        function: Callable[P, Returned],
        info: ToolInfo,
        fields: type[msgspec.Struct],
        *,
        approval: ApprovalRule,
        replay: Replay,
        role: Role,
        verifier: Verifier | None,
        takes_call: bool,
    ) -> None:
        self.info = info
        place = f"python:{function.__module__}:{function.__qualname__}"
        self.source = f"{place}#{fingerprint(info.parameters)}"
        self.approval = approval
        self.replay = replay
        self.role = role
        self.function = function
        self.fields = fields
        self.verifier = verifier
        self.takes_call = takes_call

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Returned:
        """Call the function itself, past schema, approval and ledger."""
        return self.function(*args, **kwargs)

    @property
    def name(self) -> str:
        """The name by which agents are granted it."""
        return self.info.name

    @property
    def place(self) -> str:
        """Where the function stands, as `file:line`."""
        return _place(self.function)

    def check(self, arguments: Arguments) -> None:
        """Raise TenureError `invalid` that names the argument and its value if they don't fit."""
        converted(self.name, arguments, self.fields)


AnyTool: TypeAlias = ToolDefinition[..., object]


@overload
def tool(name: Callable[P, R], /) -> ToolDefinition[P, R]: ...
@overload
def tool(
    name: str | None = None,
    /,
    *,
    description: str | None = None,
    approval: Approval = "never",
    replay: Literal["safe", "never", "verify"] = "never",
    verify: Verifier | None = None,
    role: Literal["viewer", "member", "operator", "admin"] = "viewer",
) -> Callable[[Callable[P, R]], ToolDefinition[P, R]]: ...
def tool(
    name: str | Callable[P, R] | None = None,
    /,
    *,
    description: str | None = None,
    approval: Approval = "never",
    replay: Literal["safe", "never", "verify"] = "never",
    verify: Verifier | None = None,
    role: Literal["viewer", "member", "operator", "admin"] = "viewer",
) -> ToolDefinition[P, R] | Callable[[Callable[P, R]], ToolDefinition[P, R]]:
    """Make a tool of a typed function, with or without `async`; agents call it through the host.

    Each parameter needs a type that JSON can hold; what has a default may be left out of a call. A first
    parameter of type `ToolCall` isn't an argument: it is given the call itself, with its idempotency key.

    `name` is by default the function's, `description` the first line of its docstring. `approval` says
    when a person is asked: "never", "always", or conditions by argument, such as
    `{"amount": {"gt": 100}}`, which must all hold. `replay` says what may be done about a call whose
    outcome nobody knows after a crash: "safe" to repeat, "never", or "verify", which asks the function
    `verify`. `role` is the weakest role whose runs may use it. Raises ConfigError that says where.
    """

    def define(function: Callable[P, R]) -> ToolDefinition[P, R]:
        called = _place(function)
        own = _checked_name(name if isinstance(name, str) else _own_name(function), called)
        _check_function(own, function)
        fields, takes_call = _fields_of(own, function)
        parameters = _schema(own, fields, called)
        return ToolDefinition(
            function,
            ToolInfo(name=own, description=_described(function, description), parameters=parameters),
            fields,
            approval=_rule(own, approval, fields, called),
            replay=_checked_replay(own, replay, verify, called),
            role=_checked_role(own, role, called),
            verifier=verify,
            takes_call=takes_call,
        )

    return define(name) if callable(name) else define


def _described(function: Callable[..., object], description: str | None) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0] if description is None else description


def _own_name(function: object) -> str:
    return function.__name__ if inspect.isfunction(function) or inspect.ismethod(function) else "tool"


def _check_function(name: str, function: object) -> None:
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise ConfigError(f"{function!r} can't be a tool. Put @tenure.tool above a function.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"The tool {name} ({_place(function)}) yields. Let it return its result, whole and once."
        )


def _checked_name(name: str, place: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} can't be the name of a tool ({place}). Use 1 to 64 letters, digits, dots, dashes "
            "and underscores, beginning with a letter or digit."
        )
    return name


def _checked_replay(name: str, replay: str, verify: Verifier | None, place: str) -> Replay:
    classes = [one.value for one in Replay]
    if replay not in classes:
        raise ConfigError(
            f"The tool {name} ({place}) has replay={replay!r}. Choose one of: {', '.join(classes)}."
        )
    if (replay == Replay.VERIFY) != (verify is not None):
        raise ConfigError(
            f"The tool {name} ({place}) has replay={replay!r} and {'a' if verify else 'no'} verify function. "
            "Give both replay='verify' and verify=, or neither."
        )
    return Replay(replay)


def _checked_role(name: str, role: str, place: str) -> Role:
    roles = [one.value for one in Role]
    if role not in roles:
        raise ConfigError(f"The tool {name} ({place}) has role={role!r}. Choose one of: {', '.join(roles)}.")
    return Role(role)


def _rule(name: str, approval: Approval, fields: type[msgspec.Struct], place: str) -> ApprovalRule:
    if isinstance(approval, str):
        if approval not in ("never", "always"):
            raise ConfigError(
                f"The tool {name} ({place}) has approval={approval!r}. Write 'never', 'always', or "
                "conditions by argument such as {'amount': {'gt': 100}}."
            )
        return ALWAYS if approval == "always" else NEVER
    when = {
        argument: _condition(name, argument, fields, given, place) for argument, given in approval.items()
    }
    if not when:
        raise ConfigError(f"The tool {name} ({place}) has no condition in approval. Write 'never' instead.")
    return ApprovalRule(when=when)


def _condition(
    name: str, argument: str, fields: type[msgspec.Struct], given: Mapping[str, object], place: str
) -> Condition:
    if argument not in fields.__struct_fields__:
        known = ", ".join(fields.__struct_fields__) or "none"
        raise ConfigError(
            f"The approval of the tool {name} ({place}) looks at {argument!r}. Its arguments are: {known}."
        )
    wrong = [word for word in given if word not in CONDITIONS]
    if wrong or not given:
        raise ConfigError(
            f"The approval of the tool {name} ({place}) says {dict(given)!r} of {argument}. "
            f"Use one or more of: {', '.join(CONDITIONS)}."
        )
    try:
        condition = msgspec.convert(dict(given), Condition)
        re.compile(condition.matches if isinstance(condition.matches, str) else "")
    except (msgspec.ValidationError, re.error) as misfit:
        raise ConfigError(
            f"The approval of the tool {name} ({place}) says {dict(given)!r} of {argument}: {misfit}."
        ) from misfit
    return condition


def _fields_of(name: str, function: Callable[..., object]) -> tuple[type[msgspec.Struct], bool]:
    """The arguments as a struct, and whether the function wants the call itself first."""
    place = _place(function)
    parameters = list(inspect.signature(function).parameters.values())
    try:
        hints: dict[str, object] = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as unknown:
        raise ConfigError(
            f"The types of the tool {name} ({place}) can't be read: {unknown}. Import them at the top of the "
            "module, outside of functions and of `if TYPE_CHECKING`."
        ) from unknown
    takes_call = bool(parameters) and hints.get(parameters[0].name) is ToolCall
    own = parameters[1:] if takes_call else parameters
    fields = [_field(name, parameter, hints, place) for parameter in own]
    try:
        return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True), takes_call
    except (TypeError, ValueError) as misfit:
        raise ConfigError(f"The tool {name} ({place}) can't be called with JSON: {misfit}.") from misfit


def _field(
    name: str, parameter: inspect.Parameter, hints: Mapping[str, object], place: str
) -> tuple[str, type] | tuple[str, type, object]:
    if parameter.kind not in _BY_NAME:
        raise ConfigError(
            f"The tool {name} ({place}) takes {parameter}. Arguments are given by name: write each one out, "
            "without *, ** or /."
        )
    hint = hints.get(parameter.name)
    if parameter.name not in hints or hint is ToolCall:
        raise ConfigError(
            f"The tool {name} ({place}) takes {parameter.name!r} "
            + ("after another parameter. A ToolCall comes first." if hint is ToolCall else "without a type.")
            + f" Write for example: {parameter.name}: str."
        )
    kind: type = hint  # pyright: ignore[reportAssignmentType]
    if parameter.default is inspect.Parameter.empty:
        return (parameter.name, kind)
    default: object = parameter.default
    if not isinstance(default, _UNCHANGING):
        default = msgspec.field(default_factory=partial(deepcopy, default))
    return (parameter.name, kind, default)


def _schema(name: str, fields: type[msgspec.Struct], place: str) -> dict[str, object]:
    try:
        (_,), named = msgspec.json.schema_components([fields], ref_template="#/$defs/{name}")
    except TypeError as misfit:
        raise ConfigError(
            f"The arguments of the tool {name} ({place}) can't be written as JSON: {misfit}. Use str, int, "
            "float, bool, lists, dicts, dataclasses, TypedDicts or msgspec structs."
        ) from misfit
    own = dict[str, object](named.pop(fields.__name__))
    own.pop("title", None)
    return {**own, "$defs": named} if named else own


def _place(function: object) -> str:
    code = inspect.unwrap(function).__code__ if inspect.isfunction(function) else None
    return repr(function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
