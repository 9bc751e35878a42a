"""The page of error codes: what each is over HTTP and on the command line, and which facts come along."""

import ast
from collections import defaultdict
from functools import cache

from tenure.cli.outcome import exit_of
from tenure.errors import Code
from tenure.http.problems import KINDS
from tools.reference.markdown import code, document, table
from tools.reference.reserved import SOURCE

INTRO = """\
Every refusal is one problem document (`application/problem+json`):

```json
{
  "type": "/docs#session_closed",
  "title": "The session is closed",
  "status": 409,
  "code": "session_closed",
  "detail": "Session ses_0193f2c4a5b87d6e9f00112233445566 is closed. Reopen it to send messages.",
  "session_id": "ses_0193f2c4a5b87d6e9f00112233445566"
}
```

`code` is the contract: a code never changes its meaning. `detail` says what happened, with which value,
and the way out; it is for people and may be worded better in any release. Some codes bring facts along,
as fields beside these. The command line ends with the exit code given here, the Python client raises
`TenureError` with the same code, detail and facts."""


def page() -> str:
    """The whole page."""
    rows = [
        [
            code(name),
            str(KINDS[name].status),
            f"{KINDS[name].title}.",
            ", ".join(code(fact) for fact in sorted(facts()[name])),
            str(int(exit_of(name))),
        ]
        for name in Code
    ]
    retried = [f"{code(name)} ({kind.retry_after_s} s)" for name, kind in KINDS.items() if kind.retry_after_s]
    return document(
        "Error codes",
        INTRO,
        table(["code", "HTTP", "what it means", "facts", "exit"], rows),
        f"With `Retry-After`: {', '.join(retried)}, and {code(Code.RATE_LIMITED)} with the time left.",
    )


@cache
def facts() -> dict[str, set[str]]:
    """The facts that the source raises each code with."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="TenureError"),
                    args=[ast.Attribute(value=ast.Name(id="Code"), attr=name), *_],
                    keywords=keywords,
                ):
                    found[Code[name]] |= {word.arg for word in keywords if word.arg}
                case _:
                    pass
    return found
