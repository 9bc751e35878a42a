"""The catalogue: which agents this host has, and who runs them."""

from collections.abc import Iterable

import msgspec

from tenure.core.grant import Policy, Terms
from tenure.core.view import AgentInfo
from tenure.errors import Code, TenureError
from tenure.host.authorization import terms_of
from tenure.ports.runner import Runner


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A runner with its policy, by name."""

    name: str
    runner: Runner
    policy: Policy = Policy()

    @property
    def terms(self) -> Terms:
        """What its runs are granted at most."""
        return terms_of(self.name, self.runner.descriptor, self.policy)


class Catalogue:
    """All agents of a host, by name."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._agents = {agent.name: agent for agent in agents}

    def agent(self, name: str) -> Agent:
        """The agent `name`. Raises TenureError `unknown_agent` that says which there are."""
        agent = self._agents.get(name)
        if agent is None:
            known = ", ".join(sorted(self._agents)) or "none"
            detail = f"There is no agent {name!r} on this host. It has: {known}."
            raise TenureError(Code.UNKNOWN_AGENT, detail, agent=name)
        return agent

    def terms(self) -> dict[str, Terms]:
        """The terms of every agent."""
        return {name: agent.terms for name, agent in self._agents.items()}

    def agents(self) -> list[AgentInfo]:
        """The catalogue as clients see it, by name."""
        return [_info(self._agents[name]) for name in sorted(self._agents)]


def _info(agent: Agent) -> AgentInfo:
    terms = agent.terms
    return AgentInfo(
        name=agent.name,
        runner=terms.descriptor.runner,
        description=terms.descriptor.description,
        capabilities=terms.descriptor.capabilities,
        apis=tuple(sorted(set(terms.policy.apis) & set(terms.descriptor.permissions))),
        deadline_s=terms.policy.deadline_s,
        healthy=True,
    )
