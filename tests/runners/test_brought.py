"""Runners that users bring: found by a table's target or an entry point, and hosted like any other."""

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tenure.agent_tables import PythonAgent
from tenure.client import Client
from tenure.config import Settings
from tenure.core.grant import Policy
from tenure.errors import ConfigError
from tenure.ports.made import Made
from tenure.runners.loader import installed_agents, installed_runners, load_runner
from tenure.wiring import agents
from tests.client.both import is_finished
from tests.client.hosted import Hosted

pytestmark = pytest.mark.usefixtures("fresh_imports")

Write = Callable[[str, str], Path]

PARROT = """
    import tenure
    from tenure.core.grant import Descriptor
    from tenure.core.output import Text, completed
    from tenure.ports.made import Made

    class Parrot:
        def __init__(self, tail="!"):
            self.tail = tail

        descriptor = Descriptor(runner="parrot", tools=("note",), storage=("nest",))

        async def run(self, context):
            yield Text(context.message.text + self.tail)
            yield completed()

    loud = Parrot("!!!")
    kept = Made(runner=loud)

    @tenure.agent("greeter")
    async def greet(run):
        yield "hello"

    class Choosy(Parrot):
        def __init__(self, tail):
            self.tail = tail

    class Vague(Parrot):
        descriptor = {"runner": "vague"}

    class Late(Parrot):
        async def run(self, context):
            return []

    number = 7
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    return write


@pytest.fixture
def parrots(write: Write) -> str:
    return str(write("parrots.py", PARROT))


def loaded(target: str) -> Made:
    made = load_runner(target)
    assert made is not None
    return made


@pytest.mark.parametrize("name", ["Parrot", "loud"])
def test_an_object_and_a_class_are_runners_with_what_they_ask_for(parrots: str, name: str) -> None:
    made = loaded(f"{parrots}:{name}")

    assert made.runner.descriptor.runner == "parrot"
    assert made.policy == Policy(tools=("note",), storage=("nest",))


def test_what_is_made_with_its_belongings_is_taken_as_it_is(parrots: str) -> None:
    assert loaded(f"{parrots}:kept") is loaded(f"{parrots}:kept")


@pytest.mark.parametrize("name", [":greet", ":number", ":absent", ":tenure", ""])
def test_what_is_no_runner_is_left_to_others(parrots: str, name: str) -> None:
    assert load_runner(parrots + name) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Choosy", "missing 1 required positional argument: 'tail'. Correct it, then start again."),
        ("Vague", "has a descriptor that is a dict. Return a Descriptor of tenure.core.grant from it."),
        ("Late", "has a run that gives no outputs. Make it an `async def` that yields them"),
    ],
)
def test_a_runner_that_cant_be_used_is_refused(parrots: str, name: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_runner(f"{parrots}:{name}")

    assert f"{parrots}:{name}" in str(refused.value)
    assert sentence in str(refused.value)


def test_an_installed_package_offers_a_runner_under_the_name_of_its_entry_point(
    write: Write, tmp_path: Path
) -> None:
    write("parrot_package.py", PARROT)
    write("polly-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: polly\nVersion: 1.0\n")
    write("polly-1.0.dist-info/entry_points.txt", "[tenure.agents]\npolly = parrot_package:loud\n")
    sys.path.insert(0, str(tmp_path))

    assert installed_agents() == []
    assert [*installed_runners()] == ["polly"]
    tighter = PythonAgent(deadline_s=5)
    [hosted] = agents(Settings(home=tmp_path, entry_points=True, agents={"polly": tighter}))
    assert (hosted.name, hosted.policy.deadline_s, hosted.policy.tools) == ("polly", 5, ("note",))


def test_a_table_hosts_a_runner_of_the_users_own(parrots: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    server = Hosted(home, {"polly": PythonAgent(target=f"{parrots}:loud", tools=())}).start()
    try:
        with Client(server.url, server.key) as client:
            session = client.open_session("polly").id
            client.send(session, "Pretty Polly")
            list(client.follow(session, until=is_finished))
            said = [item.content for item in client.transcript(session).data]
    finally:
        server.stop()

    assert said == ["Pretty Polly", "Pretty Polly!!!"]
