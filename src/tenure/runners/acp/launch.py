"""How the program of an agent is started: command, environment, sandbox. Its secrets are never shown."""

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from tenure.errors import Code, TenureError

Sandbox = Literal["none", "bubblewrap"]

PLAIN = frozenset({"HOME", "LANG", "LC_ALL", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "TZ", "USER"})
"""Variables whose values are no secrets, so that paths stay readable in what is logged."""

BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;]+")
"""What a token looks like that was handed over in a request, such as that of the run gateway."""

SECRET_OPTION = re.compile(r"(?i)--?[\w-]*(?:key|token|secret|password)(?:=(?P<value>.*))?")
"""An option of a command that is followed by a secret."""

TOKEN_BEGINS = "tnr_run_"
TOKEN = re.compile(TOKEN_BEGINS + r"[0-9a-f]{32}\.[A-Za-z0-9_-]+")
"""A token of the run gateway, wherever it is said."""

LEFT_OUT = "[…]"


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to start an agent's programs and to keep them.

    `name` is the agent's, `env` the whole environment but for PATH, HOME and LANG, which have defaults.
    `homes` is where each person gets a home of their own. `reads` are folders that a sandbox shows besides
    the system. `offers_files` is whether it may read and write files through the host. Times are in seconds:
    `handshake_s` for the hand-shake, `keep_s` until an idle program ends.
    """

    name: str
    command: tuple[str, ...]
    homes: Path
    env: dict[str, str] = {}
    sandbox: Sandbox = "none"
    reads: tuple[Path, ...] = ()
    auth_method: str | None = None
    offers_files: bool = True
    handshake_s: float = 60.0
    keep_s: float = 600.0
    max_programs: int = 32

    def __repr__(self) -> str:
        return f"Launch({self.name!r}, {self.command[0]!r}, …)"

    def home_of(self, tenant: str, user: str) -> Path:
        """The home of a person: a readable name, and a hash that no other person has."""
        digest = hashlib.sha256(msgspec.json.encode((tenant, user))).hexdigest()[:16]
        readable = re.sub(r"[^A-Za-z0-9_-]", "_", user)[:40]
        return self.homes / self.name / f"{readable}-{digest}"

    def environment(self, home: Path) -> dict[str, str]:
        """All that the program gets. Of the server's own environment it is PATH alone."""
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8"} | self.env

    def resolved(self) -> tuple[str, ...]:
        """The command with the whole path of its program. Raises TenureError `runner_unavailable`."""
        program, *rest = self.command
        path = self.env.get("PATH", os.environ.get("PATH", os.defpath))
        where = shutil.which(program, path=path)
        if where is not None:
            return (os.path.abspath(where), *rest)
        if os.sep in program and os.path.exists(program):
            raise self.unavailable(f"{program} can't be executed. Make it executable: chmod +x {program}.")
        raise self.unavailable(
            f"There is no program {program}. Install it, or give its whole path as the first word of "
            f"agents.{self.name}.command; it was looked for in {path}."
        )

    def masked(self, text: str) -> str:
        """`text` without the values of the environment, keys in the command's words, and tokens."""
        values = [value for name, value in self.env.items() if name not in PLAIN]
        for word in _secret_words([*values, *_keys_in(self.command)]):
            text = text.replace(word, LEFT_OUT)
        return TOKEN.sub(LEFT_OUT, BEARER.sub(rf"\g<1>{LEFT_OUT}", text))

    def unavailable(self, detail: str) -> TenureError:
        """The refusal to run this agent: what is wrong and the way out, secrets left out."""
        return TenureError(Code.RUNNER_UNAVAILABLE, self.refusal + self.masked(detail))

    @property
    def refusal(self) -> str:
        """How every such refusal begins."""
        return f"The agent {self.name} can't be used. "


def _keys_in(command: tuple[str, ...]) -> list[str]:
    """The values of options such as `--api-key=…` and `--token …`."""
    pairs = zip(command, (*command[1:], ""), strict=True)
    options = ((SECRET_OPTION.fullmatch(word), following) for word, following in pairs)
    values = (option["value"] or following for option, following in options if option is not None)
    return [value for value in values if not value.startswith("-")]


def _secret_words(values: list[str]) -> list[str]:
    """What must not be shown, the longest first, since one may be part of another."""
    words = {word for value in values for word in (value, *value.split()) if len(word) > 3}
    return sorted(words, key=lambda word: (-len(word), word))
