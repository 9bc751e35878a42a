"""Who may do what with whose: every route of the table against every kind of caller.

The requests are made from the table itself, so a new route is covered or fails here.
"""

from typing import Any, NamedTuple

import pytest

from tenure.core.command import (
    ChangeMessage,
    CloseSession,
    CreateKey,
    DecideApproval,
    Drain,
    InterruptRun,
    OpenSession,
    ReopenSession,
    RetryRun,
    SendMessage,
    UpdateSession,
)
from tenure.core.envelope import EventEnvelope
from tenure.core.history import CompactSession, ForkSession, RedoTurns, UndoTurns
from tenure.core.principal import Action, Role
from tenure.core.scheduling import (
    CreateSchedule,
    PauseSchedule,
    PreviewSchedule,
    ResumeSchedule,
    TriggerSchedule,
    UpdateSchedule,
)
from tenure.core.signing import CreateShare, MakeSignInLink, SignIn, SignOut
from tenure.core.state import SetState
from tenure.http.assets import BESIDE, read
from tenure.http.call import SOCKET, AnyRoute, NoBody, TenantRule
from tenure.http.gates import hash_of
from tenure.http.routes import ROUTES
from tests.http.world import World

pytestmark = pytest.mark.anyio

BODIES: dict[type[Any], dict[str, Any]] = {
    OpenSession: {"agent": "scripted"},
    UpdateSession: {"title": "new"},
    CloseSession: {},
    ReopenSession: {},
    SendMessage: {"content": "SAY x"},
    InterruptRun: {},
    ChangeMessage: {"promote": "next"},
    RetryRun: {},
    DecideApproval: {"decision": "deny"},
    CreateKey: {"user": "x", "role": "viewer"},
    Drain: {},
    UndoTurns: {},
    RedoTurns: {},
    CompactSession: {},
    SetState: {"value": 1},
    ForkSession: {},
    CreateSchedule: {"agent": "scripted", "message": "SAY x", "in_s": 3600},
    PreviewSchedule: {"cron": "0 9 * * *"},
    UpdateSchedule: {"name": "new"},
    PauseSchedule: {},
    ResumeSchedule: {},
    TriggerSchedule: {},
    SignIn: {"key": "tnr_nobodys"},
    SignOut: {},
    MakeSignInLink: {},
    CreateShare: {},
    EventEnvelope: {"event_id": "e1", "conversation_id": "c", "input": {"text": "SAY x"}},
}

PASSED = {
    "POST /v1/sessions/{session_id}/interrupt": 409,
    "POST /v1/sessions/{session_id}/redo": 409,
    "PATCH /v1/sessions/{session_id}/messages/{message_id}": 409,
    "DELETE /v1/sessions/{session_id}/messages/{message_id}": 409,
    "POST /v1/runs/{run_id}/retry": 409,
    "GET /assets/{name}": 404,
    **{f"GET /{name}": 200 if name in read().beside else 404 for name in BESIDE},
    "POST /v1/sign-in": 401,
    "POST /v1/sign-out": 409,
}
"""What a route answers here to a caller who may; the others answer the status they declare."""

MAY: dict[str, set[Action]] = {
    "root": {Action.READ, Action.WRITE, Action.CONNECT, Action.MANAGE, Action.DRAIN},
    "admin": {Action.READ, Action.WRITE, Action.CONNECT, Action.MANAGE},
    "operator": {Action.READ, Action.WRITE, Action.CONNECT},
    "member": {Action.READ, Action.WRITE},
    "viewer": {Action.READ},
    "share": {Action.READ},
    "nobody": set(),
}


class Caller(NamedTuple):
    """One kind of caller: the role of the key, and whether the owner's session and keys exist for it."""

    name: str
    role: str
    user: str = ""
    tenant: str = "acme"
    reaches_session: bool = False
    reaches_key: bool = False


CALLERS = (
    Caller("anonymous", "nobody"),
    Caller("garbage", "nobody"),
    Caller("revoked", "nobody", "ann"),
    Caller("expired", "nobody", "ann"),
    Caller("owner", "member", "ann", reaches_session=True),
    Caller("owner who only views", "viewer", "ann", reaches_session=True),
    Caller("other member", "member", "bob"),
    Caller("other viewer", "viewer", "bob"),
    Caller("operator", "operator", "olga", reaches_session=True),
    Caller("admin", "admin", "alma", reaches_session=True, reaches_key=True),
    Caller("owner's name elsewhere", "member", "ann", "rival"),
    Caller("operator elsewhere", "operator", "ann", "rival"),
    Caller("admin elsewhere", "admin", "ann", "rival"),
    Caller("reader of a share", "share", reaches_session=True),
    Caller("reader of another session's share", "share"),
    Caller("bootstrap admin", "root", reaches_session=True, reaches_key=True),
)


def expected(route: AnyRoute, caller: Caller, *, stream: bool) -> int:
    """The status that the contract asks for, told by the declarations alone."""
    passed = 200 if stream else PASSED.get(route.name, route.status)
    if route.tenant_rule is TenantRule.PUBLIC:
        return passed
    if caller.role == "nobody" or route.tenant_rule is TenantRule.LIVE_RUN:
        return 401  # no key opens the run gateway, whoever holds it
    if route.action not in MAY[caller.role]:
        return 403
    if caller.role == "share" and not route.shareable:
        return 403
    match route.tenant_rule:
        case TenantRule.SIGN_IN:
            return passed if (caller.tenant, caller.user) == ("acme", "ann") else 404
        case TenantRule.SESSION | TenantRule.RUN | TenantRule.APPROVAL | TenantRule.SCHEDULE:
            return passed if caller.reaches_session else 404
        case TenantRule.KEY:
            return passed if caller.reaches_key else 404
        case _:
            return passed


async def key_of(world: World, caller: Caller) -> str | None:
    """A key as this caller holds one; None if it has none."""
    match caller.name:
        case "anonymous":
            return None
        case "garbage":
            return "tnr_" + "x" * 43
        case "revoked":
            made = await world.post("/v1/keys", {"role": "admin", "user": "ann", "tenant": "acme"})
            assert (await world.ask("DELETE", f"/v1/keys/{made['id']}")).status_code == 204
            return made["key"]
        case "expired":
            return await expired_key(world)
        case "bootstrap admin" | "reader of a share" | "reader of another session's share":
            return world.root
        case _:
            return await world.key(caller.role, caller.user, caller.tenant)


async def expired_key(world: World) -> str:
    """A key whose time is over. The face makes none, so the room behind it does."""
    root = await world.host.store.principal(hash_of(world.root.encode()), world.host.clock.now())
    assert root is not None
    ask = CreateKey(user="ann", role=Role.ADMIN, tenant="acme", expires_at="2020-01-01T00:00:00Z")
    await world.host.commands.create_key(root, ask, None, "tnr_expired")
    return "tnr_expired"


class Target(NamedTuple):
    """What the requests are about: all of it belongs to ann of acme."""

    session_id: str
    run_id: str
    message_id: str
    key_id: str
    file_id: str
    approval_id: str
    schedule_id: str
    scope: str = "conversation"
    key: str = "k"
    seq: str = "1"
    sign_in_id: str = ""
    share_id: str = ""
    token: str = "x"
    page: str = "x"
    name: str = "x.js"


async def a_share(world: World, session: str) -> Any:
    """A share of the session."""
    return await world.post(f"/v1/sessions/{session}/shares", {})


def token_of(share: Any) -> str:
    """What its reader presents."""
    return share["url"].rpartition("/")[2]


async def a_sign_in(world: World, owner: str) -> str:
    """A browser in which the owner is signed in."""
    by = await world.host.store.principal(hash_of(owner.encode()), world.host.clock.now())
    assert by is not None
    await world.host.signing.sign_in(by)
    return (await world.host.signing.sign_ins(by, None, 1)).data[0].id


async def an_approval(world: World, owner: str) -> str:
    """A question that a run of the owner's waits for."""
    session = await world.session(key=owner)
    await world.say(session, "ASK x", key=owner)
    return (await world.follow(session, key=owner).event("approval.requested")).data["data"]["approval_id"]


async def a_schedule(world: World, owner: str, session: str) -> str:
    """A schedule of the owner's, in the owner's session."""
    ask = {"session_id": session, "message": "SAY x", "in_s": 3600}
    return (await world.post("/v1/schedules", ask, key=owner))["id"]


async def a_target(world: World, owner: str, route: AnyRoute) -> Target:
    """A session of the owner with a run that has ended, and a key of the owner."""
    session = await world.session(key=owner)
    stream = world.stream("POST", f"/v1/sessions/{session}/messages", {"content": "SAY x"}, key=owner)
    receipt = (await stream.end())[0].data
    made = await world.post("/v1/keys", {"role": "viewer", "user": "ann", "tenant": "acme"})
    kept = await world.ask("PUT", f"/v1/sessions/{session}/state/conversation/k", {"value": 1}, key=owner)
    assert kept.status_code == 200
    sent = await world.post(f"/v1/sessions/{session}/files?name=a.txt", content=b"a", key=owner)
    asked = await an_approval(world, owner) if route.tenant_rule is TenantRule.APPROVAL else ""
    due = await a_schedule(world, owner, session) if route.tenant_rule is TenantRule.SCHEDULE else ""
    there = Target(session, receipt["run_id"], receipt["message_id"], made["id"], sent["id"], asked, due)
    if route.tenant_rule is TenantRule.SIGN_IN:
        return there._replace(sign_in_id=await a_sign_in(world, owner))
    if "{share_id}" in route.path or "{token}" in route.path:
        share = await a_share(world, session)
        return there._replace(share_id=share["id"], token=token_of(share))
    return there


async def presented(world: World, caller: Caller, key: str | None, target: Target) -> str | None:
    """What the caller sends: a key, or what a share of this session or another one gave them."""
    if caller.role != "share":
        return key
    session = target.session_id if caller.reaches_session else await world.session()
    return token_of(await a_share(world, session))


async def status(world: World, route: AnyRoute, target: Target, key: str | None, *, stream: bool) -> int:
    """What the caller is answered."""
    path = route.path.format(**target._asdict()) + ("?name=b.txt" if route.uploads else "")
    if route.method == SOCKET:
        return await socket_status(world, target.session_id, key)
    body = None if route.body is NoBody else BODIES[route.body]
    if not stream:
        return (await world.ask(route.method, path, body, key=key)).status_code
    answer = await world.stream(route.method, path, body, key=key).started()
    return answer.status


async def socket_status(world: World, session: str, key: str | None) -> int:
    """The same for a socket; a caller without a key is asked for one in the first frame."""
    wire = world.socket(session, key=key)
    if key is None:
        wire.say({"auth": "tnr_garbage"})
        return (await wire.reply(None))["status"]
    await wire.until(lambda: bool(wire.sent))
    first = wire.sent[0]
    return 101 if first["type"] == "websocket.accept" else first["status"]


@pytest.mark.sources("P12")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_caller_gets_what_the_table_declares(world: World, route: AnyRoute) -> None:
    owner = await world.key("member", "ann", "acme")
    answers: dict[str, list[int]] = {}
    wanted: dict[str, list[int]] = {}
    for caller in CALLERS:
        key = await key_of(world, caller)
        for stream in (False, True) if route.streams else (False,):
            target = await a_target(world, owner, route)
            head = await world.host.store.head(target.session_id)
            shown = await presented(world, caller, key, target)
            answer = await status(world, route, target, shown, stream=stream)
            answers.setdefault(caller.name, []).append(answer)
            wanted.setdefault(caller.name, []).append(expected(route, caller, stream=stream))
            if answer >= 400:
                assert await world.host.store.head(target.session_id) == head, f"{caller.name} left a trace"

    assert answers == wanted


def test_every_body_of_the_table_is_tried() -> None:
    assert {route.body for route in ROUTES} - {NoBody} == set(BODIES)
