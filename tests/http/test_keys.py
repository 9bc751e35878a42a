"""API keys: who may make which, and that a secret is answered once and never stored."""

from pathlib import Path
from typing import Any

import pytest

from tests.http.world import World

pytestmark = pytest.mark.anyio


async def refused(world: World, body: dict[str, Any], **how: Any) -> tuple[int, str, str]:
    """Status, code and detail of a key that isn't made."""
    response = await world.ask("POST", "/v1/keys", body, **how)
    answer = response.json()
    return response.status_code, answer["code"], answer["detail"]


async def test_a_new_key_is_answered_once_with_its_secret(world: World) -> None:
    body = {"user": "ann", "role": "member", "name": "laptop", "expires_at": "2999-01-31T12:00:00Z"}

    response = await world.ask("POST", "/v1/keys", body)

    made = response.json()
    assert response.status_code == 201
    assert made == {
        "id": made["id"],
        "tenant": "default",
        "user": "ann",
        "role": "member",
        "name": "laptop",
        "created_at": made["created_at"],
        "expires_at": "2999-01-31T12:00:00.000000Z",
        "revoked_at": None,
        "key": made["key"],
    }
    assert made["key"].startswith("tnr_") and len(made["key"]) == 47
    shown = {name: value for name, value in made.items() if name != "key"}
    assert await world.get(f"/v1/keys/{made['id']}") == shown
    assert shown in (await world.get("/v1/keys"))["data"]


async def test_who_a_key_speaks_for(world: World) -> None:
    made = await world.post("/v1/keys", {"user": "ann", "role": "viewer", "tenant": "acme"})

    assert await world.get("/v1/whoami", key=made["key"]) == {
        "tenant": "acme",
        "user": "ann",
        "role": "viewer",
        "key_id": made["id"],
        "root": False,
        "history": world.host.store.history,
    }


async def test_the_bootstrap_admin_makes_keys_for_any_tenant(world: World) -> None:
    made = [
        await world.post("/v1/keys", {"user": "u", "role": "admin", **tenant})
        for tenant in ({}, {"tenant": "acme"})
    ]

    assert [key["tenant"] for key in made] == ["default", "acme"]


async def test_an_admin_makes_keys_for_its_own_tenant_only(world: World) -> None:
    admin = await world.key("admin", "alma", "acme")

    own = await world.post("/v1/keys", {"user": "ann", "role": "admin"}, key=admin)
    foreign = await refused(world, {"user": "ann", "role": "viewer", "tenant": "rival"}, key=admin)

    assert own["tenant"] == "acme"
    assert foreign == (
        403,
        "forbidden",
        (
            "A key of tenant acme may not make keys of tenant rival. "
            "Only the bootstrap admin makes keys of any tenant."
        ),
    )


@pytest.mark.parametrize("role", ["operator", "member", "viewer"])
async def test_only_admins_manage_keys(world: World, role: str) -> None:
    key = await world.key(role)

    answers = [
        await world.ask("POST", "/v1/keys", {"user": "x", "role": "viewer"}, key=key),
        await world.ask("GET", "/v1/keys", key=key),
    ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(403, "forbidden")] * 2


async def test_an_admin_sees_the_keys_of_its_own_tenant_only(world: World) -> None:
    admin = await world.key("admin", "alma", "acme")
    await world.key("member", "ann", "rival")

    own = await world.get("/v1/keys", key=admin)
    every = await world.get("/v1/keys")

    assert [key["user"] for key in own["data"]] == ["alma"]
    assert {key["tenant"] for key in every["data"]} == {"default", "acme", "rival"}


async def test_a_revoked_key_opens_nothing(world: World) -> None:
    made = await world.post("/v1/keys", {"user": "ann", "role": "member"})

    first = await world.ask("DELETE", f"/v1/keys/{made['id']}")
    again = await world.ask("DELETE", f"/v1/keys/{made['id']}")

    assert (first.status_code, again.status_code) == (204, 204)
    assert (await world.ask("GET", "/v1/whoami", key=made["key"])).status_code == 401
    assert (await world.get(f"/v1/keys/{made['id']}"))["revoked_at"] is not None


@pytest.mark.parametrize(
    "moment", ["tomorrow", "2020-01-01T00:00:00Z", "2999-01-01T00:00:00", "", "2999-13-01T00:00:00Z"]
)
async def test_an_expiry_that_is_no_moment_to_come_is_refused(world: World, moment: str) -> None:
    assert await refused(world, {"user": "u", "role": "viewer", "expires_at": moment}) == (
        422,
        "invalid",
        f"expires_at is {moment!r}. Send a moment to come, such as 2031-01-31T12:00:00Z.",
    )


async def test_the_same_request_gets_the_same_secret_again(world: World) -> None:
    body, headers = {"user": "ann", "role": "member"}, {"Idempotency-Key": "make-one"}

    first = await world.ask("POST", "/v1/keys", body, headers=headers)
    again = await world.ask("POST", "/v1/keys", body, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (await world.get("/v1/whoami", key=first.json()["key"]))["user"] == "ann"
    assert [key["user"] for key in (await world.get("/v1/keys"))["data"]].count("ann") == 1


async def test_another_key_of_the_same_user_cannot_ask_for_that_secret(world: World) -> None:
    one, two = await world.key("admin", "alma", "acme"), await world.key("admin", "alma", "acme")
    body, headers = {"user": "ann", "role": "member"}, {"Idempotency-Key": "make-one"}

    await world.post("/v1/keys", body, key=one, headers=headers)

    assert (await refused(world, body, key=two, headers=headers))[:2] == (409, "idempotency_conflict")


async def test_two_callers_with_one_idempotency_key_get_two_secrets(world: World) -> None:
    body, headers = {"user": "ann", "role": "member"}, {"Idempotency-Key": "make-one"}
    alma, root = await world.key("admin", "alma"), world.root

    made = [(await world.post("/v1/keys", body, key=key, headers=headers))["key"] for key in (alma, root)]

    assert made[0] != made[1]


async def test_no_secret_is_ever_written_to_disk(world: World) -> None:
    secrets = [
        await world.key("member", "ann"),
        (await world.post("/v1/keys", {"user": "x", "role": "viewer"}, headers={"Idempotency-Key": "k"}))[
            "key"
        ],
    ]
    await world.say(await world.session(key=secrets[0]), "SAY x", key=secrets[0])

    stored = b"".join(path.read_bytes() for path in files(world.home) if path.name != "admin.key")

    assert [secret for secret in secrets if secret.encode() in stored] == []
    assert world.root.encode() not in stored


def files(home: Path) -> list[Path]:
    """Every file of a home."""
    return [path for path in home.rglob("*") if path.is_file()]
