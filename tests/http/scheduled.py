"""How tests of the HTTP face make schedules, and what they look at in a refusal."""

from typing import Any

from tests.http.world import Json, World


async def made(world: World, ask: Json, **how: Any) -> Json:
    """A schedule in `ask`'s session, or for *scripted*: as it is answered."""
    whose = {} if "session_id" in ask else {"agent": "scripted"}
    answer = await world.ask("POST", "/v1/schedules", {"message": "SAY x", **whose, **ask}, **how)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def refused(world: World, method: str, path: str, body: object = None, **how: Any) -> tuple[int, Json]:
    """Status and problem of a request that is refused."""
    answer = await world.ask(method, path, body, **how)
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()


def told(problem: tuple[int, Json]) -> tuple[int, str, str]:
    """Status, code and text of a refusal."""
    return problem[0], problem[1]["code"], problem[1]["detail"]
