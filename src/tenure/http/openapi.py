"""This API as an OpenAPI 3.1 document, written from the route table. It adds nothing of its own."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from tenure.http.call import SOCKET, AnyRoute, NoBody, NoQuery, TenantRule
from tenure.http.problems import PROBLEM, Problem

Json = dict[str, Any]

REF = "#/components/schemas/{name}"
BEARER = "key"
RUN_TOKEN = "run_token"

HEADERS: Json = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes a repeat of this request answer the same again. 1 to 255 bytes.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "LastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The number of the last event seen. It wins over `after`.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    "History": {
        "name": "Tenure-History",
        "in": "header",
        "description": "The history in which the cursor was made, so that a rewound store is noticed.",
        "schema": {"type": "string"},
    },
}

_BYTES: Json = {"type": "string", "format": "binary"}
UPLOAD: Json = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": _BYTES}, "required": ["file"]}
        },
        "application/octet-stream": {"schema": _BYTES},
    },
}
"""The body of a route that takes a file."""

MESSAGE: Json = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
"""The body of a route that speaks JSON-RPC: its protocol says what stands in it."""

PATH_PATTERNS = {
    "session_id": "^ses_[0-9a-f]{32}$",
    "run_id": "^run_[0-9a-f]{32}$",
    "key_id": "^key_[0-9a-f]{32}$",
    "message_id": "^msg_[0-9a-f]{32}$",
    "approval_id": "^apr_[0-9a-f]{32}$",
    "file_id": "^art_[0-9a-f]{32}$",
    "schedule_id": "^sch_[0-9a-f]{32}$",
    "sign_in_id": "^sgn_[0-9a-f]{32}$",
    "share_id": "^shr_[0-9a-f]{32}$",
    "token": "^[0-9A-Za-z_-]{1,200}$",
    "seq": "^[0-9]{1,18}$",
    "scope": "^(conversation|actor|subject|runner)$",
    "key": "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$",
}


def openapi(routes: Iterable[AnyRoute], version: str) -> Json:
    """The whole document."""
    table = tuple(routes)
    components = _schemas(table)
    paths: Json = {}
    for route in table:
        method = "get" if route.method == SOCKET else route.method.lower()
        paths.setdefault(route.path, {})[method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tenure",
            "version": version,
            "description": "A durable home for agent sessions: one journal per session that every "
            "screen follows without losing an event.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": HEADERS,
            "securitySchemes": {
                BEARER: {"type": "http", "scheme": "bearer"},
                RUN_TOKEN: {"type": "http", "scheme": "bearer", "description": "What a run was given."},
            },
        },
    }


def schema_of(kind: Any) -> Json:
    """The JSON schema of a type; structs are references to the components."""
    return msgspec.json.schema_components([kind], ref_template=REF, schema_hook=_anything)[0][0]


def _anything(kind: type) -> Json:
    """The schema of `object`, as which we write values that may be any JSON."""
    if kind is not object:
        raise NotImplementedError
    return {"description": "Any JSON value."}


def _schemas(table: tuple[AnyRoute, ...]) -> Json:
    kinds: list[Any] = [Problem]
    for route in table:
        kinds += [kind for kind in (route.answer, route.body) if kind not in (None, NoBody)]
    components = msgspec.json.schema_components(kinds, ref_template=REF, schema_hook=_anything)[1]
    return dict(sorted(components.items()))


def _operation(route: AnyRoute) -> Json:
    operation: Json = {
        "operationId": route.handler.__name__,
        "tags": [route.resource],
        "summary": route.summary,
        "description": _description(route),
        "responses": _responses(route),
        "security": _security(route),
    }
    if parameters := [*_path(route), *_query(route), *_headers(route)]:
        operation["parameters"] = parameters
    if route.uploads:
        operation["requestBody"] = UPLOAD
    if route.tenant_rule is TenantRule.LIVE_RUN:
        operation["requestBody"] = MESSAGE
    if route.body is not NoBody:
        operation["requestBody"] = {
            "required": bool(_required(route.body)),
            "content": {"application/json": {"schema": schema_of(route.body)}},
        }
    return operation


def _security(route: AnyRoute) -> list[Json]:
    match route.tenant_rule:
        case TenantRule.PUBLIC:
            return []
        case TenantRule.LIVE_RUN:
            return [{RUN_TOKEN: []}]
        case _:
            return [{BEARER: []}]


def _description(route: AnyRoute) -> str:
    text = " ".join((route.handler.__doc__ or route.summary).split())
    if route.method == SOCKET:
        text += " Open it with a WebSocket client; a plain GET is refused."
    return text


def _responses(route: AnyRoute) -> Json:
    answer: Json = {"description": route.summary}
    if route.answer is not None:
        answer["content"] = {route.media: {"schema": schema_of(route.answer)}}
    elif route.media != "application/json":
        answer["content"] = {route.media: {"schema": {"type": "string"}}}
    responses: Json = {str(route.status): answer}
    if route.later:
        responses["202"] = {**answer, "description": "It is accepted, and is done when the run has ended."}
    if route.streams:
        stream = {"text/event-stream": {"schema": {"type": "string"}}}
        if route.status == 200:
            answer["content"].update(stream)
        else:
            responses["200"] = {"description": "The stream, when it is accepted.", "content": stream}
    problem = {"description": "A problem.", "content": {PROBLEM: {"schema": schema_of(Problem)}}}
    return {**responses, "default": problem}


def _path(route: AnyRoute) -> Iterator[Json]:
    for name in re.findall(r"{(\w+)}", route.path):
        schema = {"type": "string", "pattern": PATH_PATTERNS[name]}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(route: AnyRoute) -> Iterator[Json]:
    if route.query is NoQuery:
        return
    schemas = msgspec.json.schema_components([route.query], ref_template=REF)[1]
    for name, schema in schemas[route.query.__name__]["properties"].items():
        yield {"name": name, "in": "query", "required": False, "schema": _inline(schema, schemas)}


def _inline(schema: Json, schemas: Json) -> Json:
    """A query parameter's schema, with what it refers to put in its place."""
    if "$ref" in schema:
        found = cast("Json", schemas[schema["$ref"].rpartition("/")[2]])
        return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {
        key: [_inline(part, schemas) for part in value] if key == "anyOf" else value
        for key, value in schema.items()
    }


def _headers(route: AnyRoute) -> Iterator[Json]:
    # Without a key there is nobody whose requests could be told apart.
    if route.method in ("POST", "PUT") and route.tenant_rule not in (TenantRule.LIVE_RUN, TenantRule.PUBLIC):
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if route.streams:
        yield {"$ref": "#/components/parameters/LastEventId"}
        yield {"$ref": "#/components/parameters/History"}


def _required(kind: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(kind) if field.required]
