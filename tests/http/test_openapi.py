"""The OpenAPI document: it has every route, it is valid, and the host keeps to it under strange input."""

import json
from collections.abc import Generator
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis as untyped
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tenure.errors import Code
from tenure.http.call import SOCKET, AnyRoute, NoBody, TenantRule
from tenure.http.openapi import openapi
from tenure.http.problems import KINDS
from tenure.http.routes import LISTED
from tests.http.served import Address, a_server
from tests.http.world import World

DOCUMENT: dict[str, Any] = json.loads(json.dumps(openapi(LISTED, "0.0.0")))
schemathesis: Any = untyped  # its own types are only partly known
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
EXAMPLES = 12

TRIED = [route for route in LISTED if route.method != SOCKET and route.path != "/v1/drain"]
"""Draining would end the server that the others are tried on; a socket is no request."""

HELD = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Address]:
    """One real server for all requests of this file."""
    with a_server(tmp_path_factory.mktemp("openapi")) as address:
        yield address


def operation_of(route: AnyRoute) -> dict[str, Any]:
    """What the document says of a route."""
    return DOCUMENT["paths"][route.path]["get" if route.method == SOCKET else route.method.lower()]


def test_the_document_has_every_route_and_nothing_else() -> None:
    said = {
        (path, method, operation["tags"][0], bool(operation["security"]))
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }

    assert said == {
        (
            route.path,
            "get" if route.method == SOCKET else route.method.lower(),
            route.resource,
            route.tenant_rule is not TenantRule.PUBLIC,
        )
        for route in LISTED
    }


def test_every_operation_has_its_own_id_and_declares_its_answer_and_the_problem() -> None:
    operations = [operation_of(route) for route in LISTED]

    assert len({operation["operationId"] for operation in operations}) == len(LISTED)
    for route, operation in zip(LISTED, operations, strict=True):
        assert set(operation["responses"]) >= {str(route.status), "default"}
        speaks = route.tenant_rule is TenantRule.LIVE_RUN  # its body is a protocol's own
        assert ("requestBody" in operation) == (route.body is not NoBody or route.uploads or speaks)
        assert operation["summary"] and operation["description"]


def test_every_schema_is_valid_and_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    text = str(DOCUMENT)
    for part in text.split("'$ref': '#/components/")[1:]:
        kind, name = part.split("'")[0].split("/")
        assert name in DOCUMENT["components"][kind]


def test_bodies_refuse_unknown_fields_in_the_document_too() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    for route in LISTED:
        if route.body is not NoBody:
            assert schemas[route.body.__name__]["additionalProperties"] is False


def test_the_problem_schema_knows_every_code() -> None:
    assert set(DOCUMENT["components"]["schemas"]["Code"]["enum"]) == set(Code) == set(KINDS)


@pytest.mark.anyio
async def test_the_host_serves_the_document(world: World) -> None:
    served = await world.get("/openapi.json", key=None)

    assert served["openapi"] == "3.1.0"
    assert served["paths"] == DOCUMENT["paths"]
    assert served["components"] == DOCUMENT["components"]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fit", "unfit"])
@pytest.mark.parametrize("route", TRIED, ids=lambda route: route.name)
def test_the_host_keeps_to_the_document(server: Address, route: AnyRoute, mode: GenerationMode) -> None:
    operation = SCHEMA[route.path][route.method]
    if mode is GenerationMode.NEGATIVE and not ({"parameters", "requestBody"} & set(operation_of(route))):
        return  # nothing of this request can be unfit

    with httpx.Client(base_url=server.url, headers=server.bearer) as client:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
        )
        @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
        def held(case: Any, real: bool) -> None:
            if real:
                case.path_parameters.update(a_target(client, case.path_parameters))
            response = case.call(base_url=server.url, headers=server.bearer, timeout=10)
            case.validate_response(response, checks=[getattr(schemathesis.checks, name) for name in HELD])

        held()

    assert httpx.get(f"{server.url}/readyz").status_code == 200


def a_target(client: httpx.Client, names: dict[str, Any]) -> dict[str, str]:
    """Things that exist, for the parameters of a path that name things."""
    if not names:
        return {}
    if "key_id" in names:
        made = client.post("/v1/keys", json={"user": "x", "role": "viewer"}).json()
        return {"key_id": made["id"]}
    session = client.post("/v1/sessions", json={"agent": "scripted"}).json()["id"]
    receipt = client.post(f"/v1/sessions/{session}/messages", json={"content": "SAY x"}).json()
    known = {"session_id": session, "run_id": receipt["run_id"], "message_id": receipt["message_id"]}
    return {name: known.get(name, "1") for name in names}
