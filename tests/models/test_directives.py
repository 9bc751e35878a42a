"""How directives become calls of the tools that agents offer, whatever they are named and ask for."""

from collections.abc import Mapping

import pytest

from tests.models.directives import Asked, Call, Offered, Reply, Script, Speech, Turn


def called(text: str, *tools: Offered) -> list[tuple[str, Mapping[str, object]]]:
    """The calls that a message leads to."""
    reply = Script().answer(Asked("m", False, (Turn("user", text),), tools))
    assert isinstance(reply, Reply)
    return [(part.tool, part.arguments) for part in reply.parts if isinstance(part, Call)]


def takes(*required: str, **properties: object) -> dict[str, object]:
    """The schema of a tool's arguments."""
    return {"type": "object", "properties": properties, "required": list(required)}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (
            Offered("Bash", takes("command", command=TEXT, description=TEXT, timeout={"type": "number"})),
            {"command": "ls -l", "description": "Run what the script says"},
        ),
        (
            Offered("shell", takes("command", command={"type": "array", "items": TEXT}, workdir=TEXT)),
            {"command": ["bash", "-lc", "ls -l"]},
        ),
        (
            Offered("exec_command", takes("cmd", "login", cmd=TEXT, login={"type": "boolean"})),
            {"cmd": "ls -l", "login": False},
        ),
        (
            Offered("functions.run_shell_command", takes("COMMAND", command={"type": "STRING"})),
            {"command": "ls -l", "COMMAND": "something"},
        ),
    ],
)
def test_a_shell_is_found_by_any_name_and_asked_as_it_wants(
    tool: Offered, arguments: dict[str, object]
) -> None:
    assert called("SHELL ls -l", Offered("read", {}), tool) == [(tool.name, arguments)]


def test_leave_to_leave_the_sandbox_is_asked_for_where_there_is_one() -> None:
    schema = takes("command", command=TEXT, sandbox_permissions=TEXT, justification=TEXT)

    assert called("SHELL ls", Offered("shell_command", schema)) == [
        (
            "shell_command",
            {
                "command": "ls",
                "sandbox_permissions": "require_escalated",
                "justification": "The script says so",
            },
        )
    ]


def test_a_file_is_written_by_the_tool_for_that_else_by_the_shell() -> None:
    write = Offered("write_file", takes("file_path", "content", file_path=TEXT, content=TEXT))
    shell = Offered("bash", takes("command", command=TEXT))

    assert called("WRITE a.txt it's so", shell, write) == [
        ("write_file", {"file_path": "a.txt", "content": "it's so"})
    ]
    assert called("WRITE a.txt it's so", shell) == [
        ("bash", {"command": r"printf '%s' 'it'\''s so' > 'a.txt'"})
    ]


def test_a_tool_is_found_by_its_name_before_the_end_of_another() -> None:
    tools = [Offered(name, {}) for name in ("mcp__x__pay", "repay", "Pay", "pay")]

    assert [called("TOOL pay {}", *tools[:n])[0][0] for n in (1, 2, 3, 4)] == [
        "mcp__x__pay",
        "mcp__x__pay",
        "Pay",
        "pay",
    ]
    assert called("TOOL pay {}", tools[1]) == []


def test_required_arguments_are_made_up_where_none_are_given() -> None:
    schema = takes(
        *"abcdefgh",
        a=TEXT,
        b={"type": ["integer", "null"]},
        c={"enum": ["x", "y"]},
        d={"default": 7},
        e={"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        f={"type": "array"},
        g={"const": "k"},
        z=TEXT,
    )
    made_up: dict[str, object] = {
        "a": "something",
        "b": 1,
        "c": "x",
        "d": 7,
        "e": False,
        "f": [],
        "g": "k",
        "h": "something",
    }

    assert called("TOOL t", Offered("t", schema)) == [("t", made_up)]
    assert called('TOOL t {"z": 1}', Offered("t", schema)) == [("t", {"z": 1})]


def test_a_tool_that_isnt_offered_is_said_to_be_missing() -> None:
    reply = Script().answer(Asked("m", False, (Turn("user", "TOOL pay {}"),), (Offered("read", {}),)))

    assert reply == Reply((Speech(("there is no tool pay among: read",)),))
