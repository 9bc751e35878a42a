"""Versions as entity tags (RFC 9110, section 13): `ETag` in answers, `If-Match` in requests.

A tag that was weakened on its way, as proxies do that compress, still names its version.
"""

from tenure.core.scope import Expected
from tenure.errors import Code, TenureError
from tenure.http.call import AnyCall

MOST_DIGITS = 18
_ANY = "*"


def etag(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def wanted_version(call: AnyCall) -> int | None:
    """The one version that the request is for; None if it is for any. Raises TenureError `invalid`."""
    given = call.header(b"if-match").strip()
    return None if given in ("", _ANY) else _version(given)


def expected(call: AnyCall) -> Expected | None:
    """What the request's conditions ask for. Raises TenureError `invalid` for what is no condition."""
    match, none_match = call.header(b"if-match").strip(), call.header(b"if-none-match").strip()
    if match and none_match:
        raise _bad("If-Match", "beside If-None-Match")
    if none_match:
        if none_match != _ANY:
            raise _bad("If-None-Match", none_match)
        return Expected((0,))
    if not match:
        return None
    if match == _ANY:
        return Expected(anything=True)
    return Expected(tuple(_version(tag.strip()) for tag in match.split(",")))


def _version(tag: str) -> int:
    strong = tag.removeprefix("W/")
    digits = strong[1:-1] if len(strong) > 2 and strong[0] == strong[-1] == '"' else strong
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        raise _bad("If-Match", tag)
    return int(digits)


def _bad(name: str, given: str) -> TenureError:
    return TenureError(
        Code.INVALID,
        f'{name} is {given[:100]}. Send the ETag as it came, such as "3", or *.',
        field=name,
    )
