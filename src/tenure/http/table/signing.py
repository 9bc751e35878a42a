"""Signing browsers in and out. Rows of the route table."""

from tenure.core.signing import MakeSignInLink, SignIn, SignInLink, SignOut
from tenure.core.view import WhoAmI
from tenure.http import signing
from tenure.http.call import AnyQuery, AnyRoute, NoBody, NoQuery, Route
from tenure.http.lists import PageQuery
from tenure.http.table.words import OWN, PUBLIC, READ, SIGN_IN

SIGNING_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/v1/sign-in",
        summary="Sign this browser in with a key.",
        resource="sign-in",
        action=READ,
        tenant_rule=PUBLIC,
        query=NoQuery,
        body=SignIn,
        answer=WhoAmI,
        handler=signing.sign_in,
    ),
    Route(
        method="POST",
        path="/v1/sign-out",
        summary="Sign this browser out.",
        resource="sign-in",
        action=READ,
        tenant_rule=OWN,
        query=NoQuery,
        body=SignOut,
        status=204,
        handler=signing.sign_out,
    ),
    Route(
        method="POST",
        path="/v1/sign-in-links",
        summary="Make a link that signs one browser in, once.",
        resource="sign-in",
        action=READ,
        tenant_rule=OWN,
        query=NoQuery,
        body=MakeSignInLink,
        answer=SignInLink,
        status=201,
        handler=signing.make_sign_in_link,
    ),
    Route(
        method="GET",
        path="/v1/sign-ins",
        summary="Where you are signed in.",
        resource="sign-in",
        action=READ,
        tenant_rule=OWN,
        query=PageQuery,
        body=NoBody,
        answer=signing.SignInPage,
        handler=signing.list_sign_ins,
    ),
    Route(
        method="DELETE",
        path="/v1/sign-ins/{sign_in_id}",
        summary="Sign another browser out.",
        resource="sign-in",
        action=READ,
        tenant_rule=SIGN_IN,
        query=NoQuery,
        body=NoBody,
        status=204,
        handler=signing.end_sign_in,
    ),
    Route(
        method="GET",
        path="/sign-in/{token}",
        summary="Sign this browser in by a link, and open the console.",
        resource="page",
        action=READ,
        tenant_rule=PUBLIC,
        query=AnyQuery,
        body=NoBody,
        media="text/html",
        status=303,
        listed=False,
        handler=signing.open_sign_in_link,
    ),
)
