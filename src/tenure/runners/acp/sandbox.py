"""What a program of an agent sees of the machine under `sandbox = "bubblewrap"`: a command line for `bwrap`.

It confines files and processes. It doesn't confine the network: agents talk to models, so all that this
machine reaches, its own loopback included, they reach as well.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tenure.errors import ConfigError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store")
"""What programs are made of. Read only."""

SETTINGS = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
    "/run/systemd/resolve",
)
"""What names and certificates are looked up in. Read only; the rest of /etc isn't shown."""

APART = ("--unshare-all", "--share-net", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
"""Own processes, users, host name and message queues; the network of the machine; no privileges."""


def bubblewrap(agent: str) -> str:
    """The path of `bwrap`. Raises ConfigError where it isn't installed."""
    found = shutil.which("bwrap")
    if found is None:
        raise ConfigError(
            f'agents.{agent}.sandbox is "bubblewrap", but there is no program bwrap. Install it '
            f'(apt-get install bubblewrap, dnf install bubblewrap), or set sandbox = "none".'
        )
    return found


def confined(
    bwrap: str,
    command: Sequence[str],
    folder: Path,
    writable: Iterable[Path],
    readable: Iterable[Path] = (),
    more: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """`command`, started in `folder`, which sees the system, what is `readable` and what is `writable`.

    `more` is environment for the command alone. It must not be that of `bwrap`, which runs unconfined: its
    loader would heed it.
    """
    shown = [*SYSTEM, *SETTINGS, *map(str, readable)]
    return (
        *(bwrap, *APART),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *(word for path in shown for word in ("--ro-bind-try", path, path)),
        *(word for path in writable for word in ("--bind", str(path), str(path))),
        *(word for name, value in more.items() for word in ("--setenv", name, value)),
        *("--chdir", str(folder), "--", *command),
    )


def package_of(program: str) -> tuple[Path, ...]:
    """The folders that a program needs, by where it lies and where that leads.

    That is a `node_modules` as a whole, a virtual environment with its Python, else the folder it lies in.
    """
    return tuple(dict.fromkeys(root for path in _places(program) for root in _roots(path)))


def _places(program: str) -> tuple[Path, ...]:
    return (Path(program), Path(program).resolve())


def _roots(path: Path) -> tuple[Path, ...]:
    modules = [above for above in path.parents if above.name == "node_modules"]
    if modules:
        return (modules[-1],)
    if (path.parent.parent / "pyvenv.cfg").exists():
        return (path.parent.parent, _python_of(path.parent))
    return (path.parent,)


def _python_of(folder: Path) -> Path:
    """Where the Python of a virtual environment is installed, by the folder of its programs."""
    real = (folder / "python").resolve()
    return real.parent.parent if (real.parent.parent / "lib").is_dir() else real.parent
