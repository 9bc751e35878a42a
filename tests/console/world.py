"""An account with a life in it: who looks at the console should see it as it is after some months of use.

`test_axe` walks through it, and `shots` takes the pictures of the documentation of it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import httpx

from tests.console.browsing import BOUND_S, Server, client_of

AGENTS = '''
"""The desk of a small shop: it looks orders up, and asks before it gives money back."""

import tenure

ORDERS = {
    "4711": {"customer": "Ines Carvalho", "item": "Lamp, brass", "paid": 89.0, "delivered": "2026-11-12"},
}


@tenure.tool(replay="safe")
def find_order(number: str) -> dict[str, object]:
    """Look an order up."""
    return ORDERS.get(number, {"found": False})


@tenure.tool(approval="always")
def refund(order: str, amount: float, reason: str) -> dict[str, object]:
    """Give money back."""
    return {"refund": "R-2031", "order": order, "amount": amount}


ADVICE = """It is a manufacturing fault, so the **two-year guarantee** applies. There are two ways:

| | refund | replacement |
| --- | --- | --- |
| takes | 3 days | 10 days |
| costs us | 89.00 | 61.40 |
| customer sends the lamp back | no | yes |

The photo shows the crack at the *foot*, where the batch of October was soldered too hot. I’d refund it:

1. give back the 89.00 that were paid,
2. write to the supplier, with the photo.
"""

ANSWERS = {
    "arrive": "It left the warehouse on Tuesday; the parcel service says **Thursday before noon**.",
    "today": "Yes, it goes out today with this:\\n\\n```toml\\n[order.4802]\\nexpress = true\\n```",
    "left": "Three are left: two in *brass*, one in *black*. I have put one aside until Friday.",
    "invoice": "It had the old address. I’ve written a new one and sent it to the customer.",
    "يصل": "غادر الطلب المستودع يوم الثلاثاء، ويصل **يوم الخميس قبل الظهر**.",
}


@tenure.agent("desk", tools=(find_order, refund), steering=True)
async def desk(run: tenure.Run):
    """Answers customers of the shop, looks orders up, and asks before it gives money back."""
    text = run.message.text
    if "4711" in text:
        yield tenure.Reasoning("A broken lamp within the guarantee. What was paid, and when did it arrive?")
        await run.tools.call("find_order", number="4711")
        yield ADVICE
        await run.tools.call("refund", order="4711", amount=89.0, reason="Arrived cracked at the foot")
        yield "Done: the 89.00 are on their way back."
    else:
        yield tenure.Spent(tenure.Usage(model="small", input_tokens=1_840, output_tokens=96, cost=0.0041))
        yield next((answer for word, answer in ANSWERS.items() if word in text), "Yes, all of it.")
'''

QUESTIONS = (
    "When does order 4802 arrive?",
    "Can it go out today?",
    "How many lamps are left?",
    "The customer says the invoice is wrong",
)
LONG = (
    "A title that somebody pasted from a ticket, with everything that was known then: order 4802, two lamps, "
    "one of them black, express, the neighbours’ address, and the wish to be called before"
)
ARABIC = "موعد تسليم الطلب رقم ٤٨٠٢"


class World(NamedTuple):
    """What can be looked at: sessions, runs, schedules and keys, each by what it is an example of."""

    key: str
    empty: str
    """The key of an account with nothing in it."""
    viewer: str
    session: Mapping[str, str]
    run: Mapping[str, str]
    schedule: str
    share: str


def prepare(folder: Path) -> None:
    """Make a home in `folder` whose server has the desk."""
    (folder / "desk.py").write_text(AGENTS)
    (folder / "home").mkdir()
    (folder / "home" / "tenure.toml").write_text(f'modules = ["{folder}/desk.py"]\nlog_level = "error"\n')


def fill(server: Server, turns: int = 12) -> World:
    """Live in it: `turns` are those of the longest session."""
    with client_of(server, server.key) as root:
        ana = new_key(root, "Ana Ruiz", "admin", "laptop")
        for user, role in (("Bo Ngata", "operator"), ("Chiara Lindqvist", "member"), ("יעל כהן", "member")):
            new_key(root, user, role, "phone")
        new_key(root, "Dana Okafor", "viewer", "wall screen")
        viewer = new_key(root, "Ana Ruiz", "viewer", "phone")
        empty = new_key(root, "New", "admin", "first", tenant="new")
    with client_of(server, ana) as api:
        session = sessions(api, turns)
        run = {name: latest_run(api, session[name]) for name in ("asking", "failed", "long")}
        share = api.post(f"/v1/sessions/{session['asking']}/shares", json={}).json()["url"]
        return World(ana, empty, viewer, session, run, schedules(api, session["long"]), share)


def sessions(api: httpx.Client, turns: int) -> dict[str, str]:
    """Sessions of all kinds, the last one asking for something."""
    opened = {
        "long": opened_session(api, "desk", "Orders of the week", team="north", channel="shop"),
        "title": opened_session(api, "desk", LONG),
        "arabic": opened_session(api, "desk", ARABIC),
        "failed": opened_session(api, "scripted", "Import of the price list", team="north"),
        "closed": opened_session(api, "scripted", "Inventory of October"),
        "stopped": opened_session(api, "longhaul", "A story for the night train"),
        "working": opened_session(api, "scripted", "Nightly reconciliation", team="ledger"),
        "ledger": opened_session(api, "scripted", "Close the ledger of November", team="ledger"),
        "table": opened_session(api, "concierge", "Dinner at the Old Mill"),
        "asking": opened_session(api, "desk", "Order 4711 arrived broken", team="north", channel="mail"),
    }
    for turn in range(turns):
        say(api, opened["long"], QUESTIONS[turn % len(QUESTIONS)])
    say(api, opened["title"], "Is all of that in the order?")
    say(api, opened["arabic"], "متى يصل الطلب؟ أرجو الاتصال قبل التسليم.")
    say(api, opened["failed"], "FAIL The price list has no column “net”. Add it, and import again.")
    say(api, opened["closed"], "SAY All 412 items counted.")
    api.post(f"/v1/sessions/{opened['closed']}/close", json={"reason": "done"}).raise_for_status()
    files = f"/v1/sessions/{opened['failed']}/files"
    sheet = b"item,gross\nlamp,89.00\n"
    api.post(files, params={"name": "price list.csv"}, content=sheet).raise_for_status()
    send(api, opened["stopped"], "Tell me")
    wait_for(api, opened["stopped"], "running")
    api.post(f"/v1/sessions/{opened['stopped']}/interrupt", json={}).raise_for_status()
    send(api, opened["working"], "SLOW 4000 500")
    for text in ("SAY and then the statements", "SAY and the mail to the accountants"):
        send(api, opened["working"], text)
    ask = "ASK Shall the ledger of November be closed? Nothing can be booked in it afterwards."
    send(api, opened["ledger"], ask)
    send(api, opened["table"], "My name is Ada. Book a table for 4 at the Old Mill tomorrow at 19:30")
    send(
        api, opened["asking"], "Order 4711 arrived with a crack, see the photo. What do we owe the customer?"
    )
    for name in ("ledger", "table", "asking"):
        wait_for(api, opened[name], "waiting")
    return opened


def schedules(api: httpx.Client, session: str) -> str:
    """Schedules of all kinds; the id of one that has a history."""
    make = (
        {
            "agent": "desk",
            "name": "Morning report",
            "message": "What came in overnight?",
            "cron": "30 8 * * 1-5",
        },
        {
            "agent": "desk",
            "name": ARABIC,
            "message": "ملخص اليوم",
            "cron": "0 18 * * 1,3",
            "kind": "reminder",
        },
        {"agent": "scripted", "name": "Is the backup done?", "message": "SAY yes", "every_s": 21_600},
        {"agent": "desk", "name": LONG, "message": "Look", "cron": "30 2 * * *", "timezone": "Europe/Berlin"},
        {"session_id": session, "name": "Stock", "message": "How many are left?", "every_s": 86_400},
        {
            "agent": "desk",
            "name": "Fair in Porto",
            "message": "Pack the lamps",
            "kind": "reminder",
            "at": later(9),
        },
    )
    ids = [made(api.post("/v1/schedules", json=one)) for one in make]
    for _ in range(2):
        api.post(f"/v1/schedules/{ids[2]}/trigger", json={}).raise_for_status()
    api.post(f"/v1/schedules/{ids[4]}/pause", json={}).raise_for_status()
    return ids[2]


def later(days: int) -> str:
    """An instant so many days ahead."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def new_key(api: httpx.Client, user: str, role: str, name: str, tenant: str = "shop") -> str:
    """A new key's secret."""
    answer = api.post("/v1/keys", json={"user": user, "role": role, "name": name, "tenant": tenant})
    return str(answer.raise_for_status().json()["key"])


def made(answer: httpx.Response) -> str:
    """The id of what was made."""
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def opened_session(api: httpx.Client, agent: str, title: str, **labels: str) -> str:
    """A new session's id."""
    return made(api.post("/v1/sessions", json={"agent": agent, "title": title, "labels": labels}))


def send(api: httpx.Client, session: str, text: str) -> None:
    """Say something, and go on."""
    api.post(f"/v1/sessions/{session}/messages", json={"content": text}).raise_for_status()


def say(api: httpx.Client, session: str, text: str) -> None:
    """Say something, and wait until its run has ended."""
    follow = {"accept": "text/event-stream"}
    answer = api.post(f"/v1/sessions/{session}/messages", json={"content": text}, headers=follow)
    assert '"run.finished"' in answer.text, answer.text


def wait_for(api: httpx.Client, session: str, status: str) -> None:
    """Wait until a session is in a state."""
    until = monotonic() + BOUND_S
    while monotonic() < until:
        if api.get(f"/v1/sessions/{session}").json()["status"] == status:
            return
    raise AssertionError(f"{session} isn't {status} after {BOUND_S} s")


def latest_run(api: httpx.Client, session: str) -> str:
    """The latest run of a session."""
    return str(api.get(f"/v1/sessions/{session}/runs").json()["data"][0]["id"])
