"""Bindings in tenure.toml: what they mean, and which ones keep a host from starting."""

from pathlib import Path

import pytest

from tenure import wiring
from tenure.config import load
from tenure.core.binding import ActorRole, Binding, BindingScope, DeliveryPolicy, ScopeType
from tenure.core.message import BusyPolicy
from tenure.core.principal import Role
from tenure.errors import ConfigError

pytestmark = pytest.mark.anyio

FULL = """
[[bindings]]
id = "telegram-support"
tenant = "acme"
agent = "scripted"
scope = { type = "bot", id = "tg-1" }
event_types = ["message.received", "group.member_joined"]
enabled = true
actor_roles = { "*" = "viewer", "42" = "member", "user:7" = "operator" }
delivery = { enable_streaming = false, enable_reply = true, max_message_size = 4096 }
when_busy = "steer"
labels = { from = "telegram" }

[[bindings]]
id = "rest"
agent = "scripted"
scope = { type = "global" }
"""


def configured(tmp_path: Path, text: str) -> tuple[Binding, ...]:
    """The bindings of a tenure.toml with this text."""
    (tmp_path / "tenure.toml").write_text(text)
    settings = load({"home": tmp_path, "demo": True, "entry_points": False})
    return tuple(binding.binding() for binding in settings.bindings)


def test_bindings_are_read_from_the_configuration(tmp_path: Path) -> None:
    assert configured(tmp_path, FULL) == (
        Binding(
            id="telegram-support",
            tenant="acme",
            agent="scripted",
            scope=BindingScope(type=ScopeType.BOT, id="tg-1"),
            event_types=("message.received", "group.member_joined"),
            enabled=True,
            actor_roles=(
                ActorRole(role=Role.VIEWER),
                ActorRole(role=Role.MEMBER, id="42"),
                ActorRole(role=Role.OPERATOR, type="user", id="7"),
            ),
            delivery=DeliveryPolicy(enable_streaming=False, max_message_size=4_096),
            when_busy=BusyPolicy.STEER,
            labels={"from": "telegram"},
        ),
        Binding(id="rest", tenant="default", agent="scripted", scope=BindingScope(type=ScopeType.GLOBAL)),
    )


BARE = '[[bindings]]\nid = "b"\nagent = "scripted"\nscope = { type = "global" }\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (BARE + "surprise = 1\n", "bindings.0.surprise"),
        (BARE.replace('"global"', '"planet"'), "bindings.0.scope.type"),
        (BARE.replace('id = "b"\n', ""), "bindings.0.id"),
        (BARE + "event_types = []\n", "bindings.0.event_types"),
        (BARE + 'when_busy = "wait"\n', "bindings.0.when_busy"),
        (BARE + 'actor_roles = { "7" = "king" }\n', "bindings.0.actor_roles.7"),
        (BARE + "delivery = { max_message_size = 0 }\n", "bindings.0.delivery.max_message_size"),
    ],
)
def test_settings_of_a_binding_that_mean_nothing_are_refused(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(tmp_path, text)

    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (BARE + BARE, "The binding 'b' is there twice."),
        (BARE.replace("scripted", "nobody"), "The binding 'b' is for the agent 'nobody'"),
        (BARE.replace('"global"', '"bot"'), "The binding 'b' has scope bot without an id."),
        (BARE.replace('"global"', '"global", id = "x"'), "The binding 'b' has scope global with the id 'x'."),
    ],
)
async def test_host_with_bindings_that_it_cant_serve_doesnt_start(
    tmp_path: Path, text: str, fault: str
) -> None:
    (tmp_path / "tenure.toml").write_text(text)
    settings = load({"home": tmp_path, "demo": True, "entry_points": False})

    with pytest.raises(ConfigError) as refused:
        await wiring.build(settings)

    assert str(refused.value).startswith(fault)
