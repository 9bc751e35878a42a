"""What the program of a person has around it: environment, home, sandbox. Its terminals have the same."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tenure.runners.acp.launch import Launch
from tenure.runners.acp.process import Leashed, Program, terminal
from tenure.runners.acp.sandbox import confined, package_of


class Surroundings(NamedTuple):
    """`command` is the program's own, `bwrap` the program that confines it, None if nothing does."""

    launch: Launch
    command: tuple[str, ...]
    home: Path
    env: Mapping[str, str]
    bwrap: str | None

    @classmethod
    def of(cls, launch: Launch, tenant: str, user: str, bwrap: str | None) -> "Surroundings":
        """The surroundings of a person's programs; the home is made. Blocks.

        Raises OSError, and TenureError `runner_unavailable` for a command that isn't there.
        """
        command = launch.resolved()
        home = launch.home_of(tenant, user)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(launch, command, home, launch.environment(home), bwrap)

    async def start(self, folder: Path | None) -> Program:
        """The program itself, which starts in the home. Raises OSError."""
        words = self._confined(self.command, self.home, folder)
        return await Program.start(words, self.env, self.home, self.launch.name, self.launch.masked)

    async def run(self, command: tuple[str, ...], more: Mapping[str, str], at: Path, folder: Path) -> Leashed:
        """A command in a terminal, somewhere in a session's folder. Raises OSError.

        In a sandbox, what the agent adds to the environment reaches the command alone, not what confines it.
        """
        if self.bwrap is None:
            return await terminal(command, {**self.env, **more}, at)
        return await terminal(self._confined(command, at, folder, more), self.env, at)

    def _confined(
        self,
        command: tuple[str, ...],
        at: Path,
        folder: Path | None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[str, ...]:
        if self.bwrap is None:
            return command
        writable = dict.fromkeys((self.home, Path(self.env["HOME"]), *([folder] if folder else ())))
        readable = dict.fromkeys((*package_of(self.command[0]), *self.launch.reads))
        return confined(self.bwrap, command, at, writable, readable, more)
