"""The catalogue: which agents this host has, and who runs them."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from tenure.core.grant import Policy, Terms, make_grant
from tenure.core.history import Summarize
from tenure.core.principal import Author, Role
from tenure.core.tool import matches
from tenure.core.view import AgentInfo
from tenure.errors import Code, TenureError
from tenure.host.authorization import terms_of
from tenure.ports.made import OwnCheck
from tenure.ports.runner import Residence, Runner
from tenure.ports.tool import NO_TOOLS, Tools

_STRONGEST = Author(tenant="", user="", role=Role.ADMIN)


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A runner with its policy, by name."""

    name: str
    runner: Runner
    policy: Policy = Policy()
    summarize: Summarize | None = None
    """What makes the summary of a compaction; None for one that needs no model."""
    residence: Residence | None = None
    """Where its runner keeps something between runs; None if it keeps nothing."""
    check: OwnCheck | None = None
    """Refuses arguments that don't fit an own tool of the agent; None if nobody can change them."""


class LiveTerms(Mapping[str, Terms]):
    """The terms of every agent as they are now: tools come and go. The store's thread reads them too.

    Whoever reads sees one state or the next, never half of it: it is replaced whole.
    """

    def __init__(self) -> None:
        self._now: dict[str, Terms] = {}

    def replace(self, terms: dict[str, Terms]) -> None:
        """From now on these hold."""
        self._now = terms

    def __getitem__(self, agent: str) -> Terms:
        return self._now[agent]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)


class Catalogue:
    """All agents of a host, by name, and what their runs are granted at most."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._agents = {agent.name: agent for agent in agents}
        self._terms = LiveTerms()
        self.equip(NO_TOOLS)

    def equip(self, tools: Tools) -> None:
        """Resolve the agents' tools among these, from now on. A host does that with the tools it has."""
        self._tools: Tools = tools
        self.refresh()

    def refresh(self) -> None:
        """Resolve the agents' tools anew. Runs that begin later have them; grants don't change."""
        present = self._tools.all()
        self._terms.replace(
            {
                name: terms_of(name, agent.runner.descriptor, agent.policy, present)
                for name, agent in self._agents.items()
            }
        )

    def agent(self, name: str) -> Agent:
        """The agent `name`. Raises TenureError `unknown_agent` that says which there are."""
        agent = self._agents.get(name)
        if agent is None:
            known = ", ".join(sorted(self._agents)) or "none"
            detail = f"There is no agent {name!r} on this host. It has: {known}."
            raise TenureError(Code.UNKNOWN_AGENT, detail, agent=name)
        return agent

    def terms(self) -> Mapping[str, Terms]:
        """The terms of every agent. What is returned stays true when tools come and go."""
        return self._terms

    def agents(self) -> list[AgentInfo]:
        """The catalogue as clients see it, by name."""
        return [_info(self._terms[name], _fault(self._agents[name])) for name in sorted(self._agents)]

    def residences(self) -> list[Residence]:
        """Where runners keep something between runs, each once."""
        kept = (agent.residence for agent in self._agents.values())
        return list({id(one): one for one in kept if one is not None}.values())


def _fault(agent: Agent) -> str | None:
    return None if agent.residence is None else agent.residence.fault


def _info(terms: Terms, fault: str | None) -> AgentInfo:
    granted = make_grant(terms, _STRONGEST)
    return AgentInfo(
        name=terms.agent,
        runner=terms.descriptor.runner,
        description=terms.descriptor.description,
        capabilities=terms.descriptor.capabilities,
        apis=tuple(sorted(set(terms.policy.apis) & set(terms.descriptor.permissions))),
        deadline_s=terms.policy.deadline_s,
        healthy=fault is None,
        fault=fault,
        tools=terms.tools,
        tools_absent=tuple(
            pattern
            for pattern in terms.policy.tools
            if not any(matches(pattern, tool.name) for tool in terms.tools)
        ),
        resources=granted.resources,
        operations=granted.operations,
        storage=granted.storage,
        state_scopes=granted.state.scopes if granted.state.enabled else (),
    )
