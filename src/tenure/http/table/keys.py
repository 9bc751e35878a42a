"""Who a key speaks for, and the keys of a tenant. Rows of the route table."""

from tenure.core.command import (
    CreateKey,
)
from tenure.core.view import (
    KeyInfo,
    NewKey,
    WhoAmI,
)
from tenure.http import keys
from tenure.http.call import AnyRoute, NoBody, NoQuery, Route
from tenure.http.lists import PageQuery
from tenure.http.table.words import KEY, MANAGE, OWN, READ

KEY_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/v1/whoami",
        summary="Who the key speaks for.",
        resource="key",
        action=READ,
        tenant_rule=OWN,
        query=NoQuery,
        body=NoBody,
        answer=WhoAmI,
        shareable=True,
        handler=keys.whoami,
    ),
    Route(
        method="POST",
        path="/v1/keys",
        summary="Make an API key. Its secret is answered here and never again.",
        resource="key",
        action=MANAGE,
        tenant_rule=OWN,
        query=NoQuery,
        body=CreateKey,
        answer=NewKey,
        status=201,
        handler=keys.create_key,
    ),
    Route(
        method="GET",
        path="/v1/keys",
        summary="The keys of the tenant.",
        resource="key",
        action=MANAGE,
        tenant_rule=OWN,
        query=PageQuery,
        body=NoBody,
        answer=keys.KeyPage,
        handler=keys.list_keys,
    ),
    Route(
        method="GET",
        path="/v1/keys/{key_id}",
        summary="One key, without its secret.",
        resource="key",
        action=MANAGE,
        tenant_rule=KEY,
        query=NoQuery,
        body=NoBody,
        answer=KeyInfo,
        handler=keys.read_key,
    ),
    Route(
        method="DELETE",
        path="/v1/keys/{key_id}",
        summary="Revoke a key. Its open streams end within 5 s.",
        resource="key",
        action=MANAGE,
        tenant_rule=KEY,
        query=NoQuery,
        body=NoBody,
        status=204,
        handler=keys.revoke_key,
    ),
)
