"""Whatever the HTTP API can do, the client can: held against the route table."""

import re
from collections.abc import Callable
from contextlib import suppress

from tenure.client import Client
from tenure.core.envelope import EventEnvelope
from tenure.core.principal import Role
from tenure.errors import TenureError
from tenure.http.call import SOCKET
from tenure.http.routes import ROUTES
from tests.client.canned import PROBLEM, Canned, Said

REFUSED = Said(404, '{"code":"not_found","detail":"There is nothing."}', PROBLEM)

ASKED: tuple[Callable[[Client], object], ...] = (
    lambda client: client.stats(),
    lambda client: client.stats_series(),
    lambda client: client.capacity(),
    lambda client: list(client.audit()),
    lambda client: list(client.users()),
    lambda client: client.drain(),
    lambda client: client.whoami(),
    lambda client: client.create_key("ann", Role.MEMBER),
    lambda client: list(client.keys()),
    lambda client: client.key("key_1"),
    lambda client: client.revoke_key("key_1"),
    lambda client: client.agents(),
    lambda client: client.open_session("a"),
    lambda client: list(client.sessions()),
    lambda client: client.session_facets(),
    lambda client: client.session("ses_1"),
    lambda client: client.update_session("ses_1", title="t"),
    lambda client: client.delete_session("ses_1"),
    lambda client: client.close_session("ses_1"),
    lambda client: client.reopen_session("ses_1"),
    lambda client: client.send("ses_1", "hi"),
    lambda client: list(client.say("ses_1", "hi")),
    lambda client: client.transcript("ses_1"),
    lambda client: client.message("ses_1", "msg_1"),
    lambda client: client.edit_message("ses_1", "msg_1", "t"),
    lambda client: client.promote_message("ses_1", "msg_1"),
    lambda client: client.withdraw_message("ses_1", "msg_1"),
    lambda client: client.steer("ses_1", "hi"),
    lambda client: client.retry_run("run_1"),
    lambda client: client.events("ses_1"),
    lambda client: client.event("ses_1", 1),
    lambda client: client.outline("ses_1"),
    lambda client: list(client.follow("ses_1")),
    lambda client: client.interrupt("ses_1"),
    lambda client: client.upload_file("ses_1", "a.txt", b"a"),
    lambda client: list(client.files("ses_1")),
    lambda client: client.download_file("ses_1", "art_1"),
    lambda client: client.delete_file("ses_1", "art_1"),
    lambda client: list(client.runs("ses_1")),
    lambda client: list(client.latest_runs()),
    lambda client: client.run_faults(),
    lambda client: client.run("run_1"),
    lambda client: list(client.approvals()),
    lambda client: client.approval("apr_1"),
    lambda client: client.approve("apr_1"),
    lambda client: client.deny("apr_1"),
    lambda client: client.revoke_approval("apr_1"),
    lambda client: client.create_schedule("hi", agent="a", in_s=60),
    lambda client: client.preview_schedule(in_s=60),
    lambda client: list(client.schedules()),
    lambda client: client.schedule("sch_1"),
    lambda client: client.update_schedule("sch_1", name="n"),
    lambda client: client.pause_schedule("sch_1"),
    lambda client: client.resume_schedule("sch_1"),
    lambda client: client.trigger_schedule("sch_1"),
    lambda client: list(client.occurrences("sch_1")),
    lambda client: client.delete_schedule("sch_1"),
    lambda client: client.undo("ses_1"),
    lambda client: client.redo("ses_1"),
    lambda client: client.compact("ses_1"),
    lambda client: client.fork("ses_1"),
    lambda client: client.post_event(EventEnvelope(event_id="e1")),
    lambda client: client.bindings(),
    lambda client: list(client.usage()),
    lambda client: list(client.states("ses_1", "actor")),
    lambda client: client.state("ses_1", "actor", "k"),
    lambda client: client.set_state("ses_1", "actor", "k", 1),
    lambda client: client.delete_state("ses_1", "actor", "k"),
    lambda client: client.sign_in_link(),
    lambda client: list(client.sign_ins()),
    lambda client: client.end_sign_in("sgn_1"),
    lambda client: client.share("ses_1"),
    lambda client: list(client.shares("ses_1")),
    lambda client: client.revoke_share("ses_1", "shr_1"),
)

BROWSERS_OWN = {"POST /v1/sign-in", "POST /v1/sign-out"}
"""What only a browser has a use for, since they are about its cookie."""


def test_client_asks_for_every_route_of_the_api_and_for_no_other(canned: Canned) -> None:
    canned.says(*[REFUSED] * len(ASKED))

    with Client(canned.url, "k") as client:
        for ask in ASKED:
            with suppress(TenureError):
                ask(client)

    api = {r.name for r in ROUTES if r.path.startswith("/v1/") and r.method != SOCKET}
    asked = {route_of(f"{h.method} {h.path.partition('?')[0]}") for h in canned.heard}
    assert asked == api - BROWSERS_OWN


def route_of(request: str) -> str:
    """The name of the route that a request reaches; the request itself if it reaches none."""
    for route in ROUTES:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.name), request):
            return route.name
    return request
