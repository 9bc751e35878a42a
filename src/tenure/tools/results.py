"""What a tool returned, as plain JSON that can be journaled and told to an agent."""

import msgspec

from tenure.errors import Code, TenureError


def plain(tool: str, result: object) -> object:
    """`result` as JSON holds it: structs and dataclasses become objects, moments become text.

    Raises TenureError `invalid` for what JSON can't hold. The work was done by then, which it says.
    """
    try:
        written = msgspec.json.encode(result)
    except (TypeError, ValueError, RecursionError) as misfit:
        raise _unfit(tool, str(misfit)) from misfit
    if b"\\u0000" in written:
        raise _unfit(tool, "it holds the character U+0000")
    return msgspec.json.decode(written)


def _unfit(tool: str, fault: str) -> TenureError:
    return TenureError(
        Code.INVALID,
        f"The tool {tool} did its work, but its result isn't JSON: {fault}. Let it return text, numbers, "
        "lists, dicts, dataclasses or msgspec structs.",
        tool=tool,
    )
