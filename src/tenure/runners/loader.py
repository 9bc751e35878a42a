"""Finds agents, and what stands beside them: in files and modules named by the operator, and in packages.

The wiring calls it once at start. Loading executes the operator's own code in this process, so what
to load comes from the command line, the configuration and entry points, never from a request.
Whatever goes wrong in that code becomes a ConfigError that says where.
"""

import importlib
import importlib.metadata
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain, count
from pathlib import Path
from traceback import FrameSummary, extract_tb
from types import ModuleType, TracebackType
from typing import TypeGuard, TypeVar

from tenure.errors import ConfigError
from tenure.ports.made import Made
from tenure.runners.agent import AgentDefinition, AnyAgent
from tenure.runners.brought import made_of

T = TypeVar("T")

GROUP = "tenure.agents"
"""The entry-point group in which an installed package offers agents: a module, one agent, or a runner."""

_TENURE = str(Path(__file__).parents[1])
_MACHINERY = ("<frozen ", _TENURE, str(importlib.__file__), importlib.metadata.__file__)


def load_agents(target: str, folder: Path | None = None, *, required: bool = True) -> list[AnyAgent]:
    """The agents that `target` names, in the order in which they stand there.

    `target` is a file (`my_agents.py`), a module (`shop.agents`), or one agent of either
    (`my_agents:greeter`). Files and modules are looked for from `folder`, by default the working
    directory. Raises ConfigError if there is no such thing, if it can't be loaded, or if it holds
    no agent although one is `required`.
    """
    source, _, attribute = target.partition(":")
    module = _module(source, (folder or Path.cwd()).resolve())
    if not (required or attribute or _things_of(module, AgentDefinition)):
        return []
    agents = _agents_of(module, source)
    return [_picked(module, attribute, source)] if attribute else agents


def load_things(target: str, kind: type[T], folder: Path | None = None) -> list[T]:
    """Everything of one kind, such as the tools, in the module that `target` names, in order.

    Raises ConfigError as `load_agents` does, but not for a module that holds nothing of the kind.
    """
    module = _module(target.partition(":")[0], (folder or Path.cwd()).resolve())
    return _things_of(module, kind)


def load_named(target: str, folder: Path | None = None) -> object:
    """Whatever stands under the name that `target` gives as `module:attribute`.

    Raises ConfigError as `load_agents` does, and if there is nothing of that name.
    """
    source, _, attribute = target.partition(":")
    if not attribute:
        raise ConfigError(f"{target!r} names no object. Write it as module:attribute.")
    things = vars(_module(source, (folder or Path.cwd()).resolve()))
    if attribute not in things:
        there = ", ".join(name for name in things if not name.startswith("_"))
        raise ConfigError(f"{source} has no {attribute}. There is: {there[:500]}.")
    return things[attribute]


def load_runner(target: str, folder: Path | None = None) -> Made | None:
    """The runner that `target` names as `module:attribute`: an object or a class of the runner port, or Made.

    None if it names agents of `agent`, or nothing. Raises ConfigError as `load_agents` does, and for a runner
    that can't be used.
    """
    source, _, attribute = target.partition(":")
    if not attribute:
        return None
    thing = vars(_module(source, (folder or Path.cwd()).resolve())).get(attribute)
    if _is_agent(thing):
        return None
    with _Loading(target):
        return made_of(thing, target)


def installed_runners() -> dict[str, Made]:
    """The runners that installed packages offer, by the names of their entry points. Raises ConfigError."""
    found = {entry.name: _brought(entry) for entry in _entries()}
    return {name: made for name, made in found.items() if made is not None}


def installed_agents() -> list[AnyAgent]:
    """The agents that installed packages offer. Raises ConfigError if one can't be loaded."""
    return [agent for entry in _entries() for agent in _offered(entry)]


def installed_things(kind: type[T]) -> list[T]:
    """Everything of one kind in the modules in which installed packages offer agents."""
    return [thing for entry in _entries() for thing in _things_of(_module_of(entry), kind)]


def _entries() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))


def by_name(agents: Iterable[AnyAgent]) -> dict[str, AnyAgent]:
    """The agents under their names. The same agent may come twice, two of one name may not."""
    known: dict[str, AnyAgent] = {}
    for agent in agents:
        other = known.setdefault(agent.name, agent)
        if other is not agent:
            raise ConfigError(
                f"Two agents are called {agent.name}: {other.place} and {agent.place}. "
                "Rename one, or serve only one of them."
            )
    return known


def _module(source: str, folder: Path) -> ModuleType:
    path = folder / Path(source).expanduser()
    if source.endswith(".py") or "/" in source or path.is_file():
        return _from_file(source, path.resolve())
    if not all(part.isidentifier() for part in source.split(".")):
        raise ConfigError(
            f"{source!r} is neither a Python file nor the name of a module. Give one of the two, "
            "for example my_agents.py."
        )
    _look_in(folder)
    importlib.invalidate_caches()
    with _Loading(source, f"There is no module {source} in {folder} or among installed packages."):
        return importlib.import_module(source)


def _from_file(source: str, path: Path) -> ModuleType:
    if path.is_dir():
        raise ConfigError(f"{source} is a folder. Give the Python file in it that holds the agents.")
    if not path.is_file():
        raise ConfigError(f"There is no file {path}. Give the path of a Python file with agents.")
    if path.suffix != ".py":
        raise ConfigError(f"{source} isn't a Python file. Give a file whose name ends in .py.")
    name = _module_name(path)
    return sys.modules.get(name) or _execute(source, path, name)


def _execute(source: str, path: Path, name: str) -> ModuleType:
    loader = SourceFileLoader(name, str(path))
    spec = spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # it is None only where no loader is given
    module = module_from_spec(spec)
    _look_in(path.parent)
    sys.modules[name] = module  # before it is executed, for its classes look themselves up there
    with ExitStack() as undo:
        undo.callback(sys.modules.pop, name)
        with _Loading(source):
            loader.exec_module(module)
        undo.pop_all()
    return module


def _module_name(path: Path) -> str:
    """The name under which a file is a module: its stem, or a numbered one if that is taken."""
    numbered = (f"{path.stem}_{n}" for n in count(2))
    return next(name for name in chain([path.stem], numbered) if _may_be_called(path, name))


def _may_be_called(path: Path, name: str) -> bool:
    if name in sys.modules:
        origin = vars(sys.modules[name]).get("__file__")
        return isinstance(origin, str) and Path(origin).resolve() == path
    return name not in sys.stdlib_module_names


def _look_in(folder: Path) -> None:
    """Let modules of `folder` be imported, as `python some_file.py` does for the file's own."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _things_of(module: ModuleType, kind: type[T]) -> list[T]:
    return list({id(thing): thing for thing in vars(module).values() if isinstance(thing, kind)}.values())


def _agents_of(module: ModuleType, source: str) -> list[AnyAgent]:
    agents: list[AnyAgent] = _things_of(module, AgentDefinition)
    if not agents:
        for name, thing in vars(module).items():
            if _is_of_pydantic_ai(thing):
                raise ConfigError(
                    f"{source} holds the pydantic-ai agent {name}, which a table hosts. Put this on top of "
                    f'tenure.toml: agents.{name} = {{ runner = "pydantic-ai", target = "{source}:{name}" }}'
                )
        raise ConfigError(
            f'{source} holds no agent. Put @tenure.agent("greeter") above an async function at the '
            "top level of the module."
        )
    return agents


def _picked(module: ModuleType, attribute: str, source: str) -> AnyAgent:
    thing = vars(module).get(attribute)
    if _is_agent(thing):
        return thing
    there = ", ".join(name for name, value in vars(module).items() if _is_agent(value))
    wrong = f"no {attribute}" if thing is None else f"{attribute}, but it isn't an agent"
    raise ConfigError(f"{source} has {wrong}. Its agents are: {there}. Name one of them.")


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist else "a package"


def _place_of(entry: EntryPoint) -> str:
    return f"{entry.value} (entry point {entry.name} of {_package(entry)})"


def _module_of(entry: EntryPoint) -> ModuleType:
    with _Loading(_place_of(entry), f"There is no module {entry.module}, which {_package(entry)} names."):
        return importlib.import_module(entry.module)


def _offered(entry: EntryPoint) -> list[AnyAgent]:
    package, source = _package(entry), _place_of(entry)
    with _Loading(source, f"There is no module {entry.module}, which {package} names."):
        thing: object = entry.load()
    if _is_agent(thing):
        return [thing]
    if isinstance(thing, ModuleType):
        return _agents_of(thing, source)
    if _brought(entry) is not None:
        return []
    raise ConfigError(f"{source} isn't an agent, nor a runner. Repair or uninstall {package}.")


def _brought(entry: EntryPoint) -> Made | None:
    source = _place_of(entry)
    with _Loading(source, f"There is no module {entry.module}, which {_package(entry)} names."):
        thing: object = entry.load()
        return None if _is_agent(thing) else made_of(thing, source)


def _is_of_pydantic_ai(thing: object) -> bool:
    """Whether a thing is an agent of that library, which isn't loaded to find out."""
    kind = type(thing)
    return kind.__name__ == "Agent" and kind.__module__.partition(".")[0] == "pydantic_ai"


def _is_agent(thing: object) -> TypeGuard[AnyAgent]:
    return isinstance(thing, AgentDefinition)


class _Loading:
    """Turns whatever an agent's code raises while it is loaded into a ConfigError with its place.

    `absent` is the sentence for a module that isn't there at all.
    """

    def __init__(self, source: str, absent: str = "") -> None:
        self._source = source
        self._absent = absent

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception | SystemExit):
            frames = [f for f in extract_tb(trace) if not f.filename.startswith(_MACHINERY)]
            raise ConfigError(self._sentence(error, frames)) from error

    def _sentence(self, error: Exception | SystemExit, frames: list[FrameSummary]) -> str:
        where = _where(frames) if frames else self._source
        match error:
            case SyntaxError(filename=str(file), lineno=int(line)):
                return f"{file}, line {line}: {error.msg}. Correct it, then start again."
            case ModuleNotFoundError() if not frames and self._absent:
                return f"{self._absent} Give the path of a Python file, or the name of a module."
            case ModuleNotFoundError(name=str(name)):
                return (
                    f"{where}: there is no module {name}. Install it where Tenure is installed, or "
                    "correct the import."
                )
            case ConfigError():
                return f"{where}: {error}"
            case SystemExit():
                return (
                    f"{where}: the code ends the program while it is loaded. Guard what it does "
                    'as a script by `if __name__ == "__main__":`.'
                )
            case _:
                return f"{where}: {type(error).__name__}: {error}. Correct it, then start again."


def _where(frames: list[FrameSummary]) -> str:
    """The line of the loaded file, and the line that it led to, if that is in a file beside it."""
    first = frames[0]
    beside = Path(first.filename).parent
    last = [frame for frame in frames if Path(frame.filename).is_relative_to(beside)][-1]
    if last.filename == first.filename:
        return f"{first.filename}, line {last.lineno}"
    return f"{first.filename}, line {first.lineno} (in {last.filename}, line {last.lineno})"
