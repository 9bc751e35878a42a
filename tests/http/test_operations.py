"""Health, figures, draining, and the pages that the host serves itself."""

import re
from html.parser import HTMLParser

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tenure.errors import Code, TenureError
from tenure.http.assets import Assets
from tenure.http.call import Options
from tenure.http.problems import KINDS
from tenure.http.routes import LISTED
from tests.http.world import World

pytestmark = pytest.mark.anyio


async def test_a_host_that_runs_is_alive_and_ready(world: World) -> None:
    assert await world.get("/healthz", key=None) == {"status": "ok"}
    assert await world.get("/readyz", key=None) == {"status": "ready"}


async def test_a_draining_host_is_alive_but_not_ready(world: World) -> None:
    response = await world.ask("POST", "/v1/drain")

    ready = await world.ask("GET", "/readyz", key=None)
    assert (response.status_code, response.json()) == (202, {"draining": True})
    assert await world.get("/healthz", key=None) == {"status": "ok"}
    assert ready.status_code == 503
    assert ready.headers["retry-after"] == "5"
    assert ready.json() == {
        "type": "/docs#draining",
        "title": "The host is going out of service",
        "status": 503,
        "code": "draining",
        "detail": "The host is draining: it takes no new work. Send it to another host.",
    }
    assert (await world.get("/v1/stats"))["draining"] is True


async def test_stats_name_the_host_that_answers(world: World) -> None:
    (host,) = (await world.get("/v1/stats"))["hosts"]

    assert (host["self"], host["draining"], host["live_runs"], host["lease_left_s"]) == (True, False, 0, None)
    await world.post("/v1/drain")
    assert [host["draining"] for host in (await world.get("/v1/stats"))["hosts"]] == [True]


async def test_only_the_bootstrap_admin_drains(world: World) -> None:
    response = await world.ask("POST", "/v1/drain", key=await world.key("admin"))

    assert response.status_code == 403
    assert response.json()["detail"] == (
        "A key with role admin may not POST /v1/drain. Only the bootstrap admin may."
    )
    assert (await world.get("/v1/stats"))["draining"] is False


@pytest.mark.sources("N06")
async def test_draining_ends_every_stream_with_a_reason(world: World) -> None:
    session = await world.session()
    await world.say(session, "SLOW 100000 20")
    stream, wire = world.follow(session), world.socket(session)
    await stream.named("up_to_date")
    await wire.control("up_to_date")

    await world.post("/v1/drain")

    assert (await stream.end())[-1].data == {"reason": "draining"}
    assert (await wire.closed())["code"] == 1001
    assert wire.frames[-1] == {"control": "closed", "reason": "draining"}


async def test_a_draining_host_opens_no_stream(world: World) -> None:
    session = await world.session()
    await world.post("/v1/drain")
    head = await world.host.store.head(session)

    streams = [
        world.follow(session),
        world.stream("POST", f"/v1/sessions/{session}/messages", {"content": "SAY x"}),
    ]

    assert [((await s.started()).status, s.json["code"]) for s in streams] == [(503, "draining")] * 2
    assert (await world.socket(session).denied())[0] == 503
    assert await world.host.store.head(session) == head
    assert (await world.get(f"/v1/sessions/{session}/events"))["head_seq"] == head


async def test_a_host_without_its_writer_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.host.store, "healthy", lambda: False)

    ready = await world.ask("GET", "/readyz", key=None)

    assert (ready.status_code, ready.json()["code"]) == (503, "store_unavailable")
    monkeypatch.undo()


async def test_stats_count_what_there_is(world: World) -> None:
    session = await world.session()
    await world.spoken(session, "SAY x")
    stream = world.follow(session)
    await stream.named("up_to_date")

    stats = await world.get("/v1/stats", key=await world.key("viewer"))

    assert {
        name: stats[name] for name in ("sessions", "open_sessions", "live_runs", "streams", "events")
    } == {
        "sessions": 1,
        "open_sessions": 1,
        "live_runs": 0,
        "streams": 1,
        "events": await world.host.store.head(session),
    }
    assert stats["history"] == world.host.store.history
    await stream.leave()
    assert (await world.get("/v1/stats"))["streams"] == 0


async def figures(world: World) -> dict[str, float]:
    """What a scrape finds, by name and labels."""
    text = (await world.ask("GET", "/metrics", key=None)).text
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_show_the_same_figures(world: World) -> None:
    session = await world.session()
    await world.spoken(session, "SAY x")
    await world.spoken(session, "FAIL y")
    stats = await world.get("/v1/stats")

    found = await figures(world)

    assert {
        name: found[f"tenure_{name}"] for name in ("sessions", "open_sessions", "events", "draining")
    } == {
        "sessions": 1,
        "open_sessions": 1,
        "events": stats["events"],
        "draining": 0,
    }
    assert found[f"tenure_info {stats['history']} {stats['version']}"] == 1
    assert found["tenure_commits_total"] >= stats["commits"]
    assert found["tenure_requests_total"] >= 4
    assert found["tenure_runs_started_total"] == 2
    ended = {name[27:]: n for name, n in found.items() if name.startswith("tenure_runs_finished_total ")}
    assert ended == {"completed": 1, "failed": 1, "cancelled": 0, "timed_out": 0, "lost": 0}
    assert (found["tenure_hosts serving"], found["tenure_hosts draining"]) == (1, 0)
    assert set(found) >= {
        "tenure_live_runs",
        "tenure_queued_runs",
        "tenure_streams",
        "tenure_commit_seconds 0.5",
        "tenure_commit_seconds 0.99",
        "tenure_recalls_total",
        "tenure_recall_lateness_seconds 0.5",
        "tenure_recall_lateness_seconds 0.99",
        "tenure_schedules active",
        "tenure_schedules paused",
        "tenure_loop_lag_seconds",
        "tenure_uptime_seconds",
        "tenure_database_bytes",
        "tenure_wal_bytes",
        "tenure_runs_requeued_total",
        "tenure_runs_abandoned_total",
    }


async def test_metrics_tell_that_the_store_is_away_instead_of_failing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise TenureError(Code.STORE_UNAVAILABLE, "The store can't be reached.")

    there = (await world.ask("GET", "/metrics", key=None)).text
    monkeypatch.setattr(world.host.store, "figures", away)
    response = await world.ask("GET", "/metrics", key=None)

    assert "tenure_store_up 1.0" in there
    assert response.status_code == 200
    assert "tenure_store_up 0.0" in response.text
    assert "tenure_runs_started_total" in response.text
    assert "tenure_sessions" not in response.text


async def test_metrics_name_no_tenant_user_or_session(world: World) -> None:
    session = await world.session(key=await world.key("member", "ann", "acme"))

    response = await world.ask("GET", "/metrics", key=None)

    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert [word for word in ("acme", "ann", session) if word in response.text] == []


async def test_every_scrape_stands_alone(world: World) -> None:
    first = (await world.ask("GET", "/metrics")).text
    again = (await world.ask("GET", "/metrics")).text

    assert [line for line in first.splitlines() if line.startswith("# TYPE")] == [
        line for line in again.splitlines() if line.startswith("# TYPE")
    ]


class Page(HTMLParser):
    """What a page refers to and which ids it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")


async def test_without_the_console_the_start_page_says_what_runs_here_and_how_to_begin(world: World) -> None:
    world.serve(Options(), Assets())
    response = await world.ask("GET", "/", key=None)

    page = Page(response.text)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "tenure chat --agent concierge" in response.text
    assert "<pre>./dev console</pre>" in response.text
    assert "<code>scripted</code>" in response.text
    for link in page.links:
        assert (await world.ask("GET", link, key=None)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_loads_and_runs_nothing(world: World, path: str) -> None:
    world.serve(Options(), Assets())
    response = await world.ask("GET", path, key=None)

    page = Page(response.text)
    policy = response.headers["content-security-policy"]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]+='; base-uri 'none'; form-action 'none'; "
        r"frame-ancestors 'none'",
        policy,
    )
    assert page.tags.isdisjoint({"script", "iframe", "img", "link", "object", "form", "base"})
    assert [link for link in page.links if not link.startswith("/") or link.startswith("//")] == []
    assert "http:" not in response.text.replace("http://www.w3.org", "")
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_the_reference_has_every_route_and_every_problem(world: World) -> None:
    text = (await world.ask("GET", "/docs", key=None)).text

    page = Page(text)
    for route in LISTED:
        assert f"<code>{route.name.replace('WEBSOCKET', 'WS')}</code>" in text
    assert [code for code in Code if code not in page.ids] == []
    assert len(page.ids) == len(set(page.ids))


def test_every_code_has_a_status_and_a_title() -> None:
    assert set(KINDS) == set(Code)
    assert [kind for kind in KINDS.values() if not 400 <= kind.status < 600 or not kind.title] == []
