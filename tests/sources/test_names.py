"""No name opens anything: what a user is called decides nothing."""

from pathlib import Path

import pytest

from tests.http.world import a_world

pytestmark = pytest.mark.anyio


@pytest.mark.sources("A22", "D-M11", "M04", "M17")
@pytest.mark.parametrize("name", ["dev", "admin", "root", "system", "*"])
async def test_no_name_opens_the_sessions_of_others_or_escapes_a_limit(tmp_path: Path, name: str) -> None:
    async with a_world(tmp_path, open_sessions_per_user=1) as world:
        ann, special = await world.key("member", "ann", "acme"), await world.key("member", name, "acme")
        anns, own = await world.session(key=ann), await world.session(key=special)

        refused = await world.ask("POST", "/v1/sessions", {"agent": "scripted"}, key=special)
        foreign = [
            (await world.ask("GET", f"/v1/sessions/{session}", key=key)).status_code
            for session, key in ((anns, special), (own, ann))
        ]
        listed = [
            [session["id"] for session in (await world.get("/v1/sessions", key=key))["data"]]
            for key in (ann, special)
        ]

        assert (refused.status_code, refused.json()["scope"]) == (429, "per_user")
        assert foreign == [404, 404]
        assert listed == [[anns], [own]]
