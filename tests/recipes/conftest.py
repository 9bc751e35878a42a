"""The recipes of examples/ on a real server, in the environment of their frameworks, before a scripted model.

`./dev setup --recipes` makes that environment. Without it these tests can't run, and say so.
"""

import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tenure.cli.serve import Announcement
from tenure.client import Client, JournalEvent
from tests.models.server import MODEL, Models, Received, models_aside

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-recipes" / "bin" / "python"
READY = ROOT / ".venv-recipes" / "setup-of"
BOUND_S = 60.0
KEY = "model-key"

MISSING = (
    "NOT TESTED: that the recipes in examples/ work, because there is no .venv-recipes with their frameworks "
    "(it needs a package registry). Make it: ./dev setup --recipes"
)

TOOL = """
import tenure


@tenure.tool(approval="always")
def send_mail(to: str) -> str:
    return f"sent to {to}"
"""

RECIPES = {
    "langgraph": "langgraph_agent.py",
    "openai-agents": "openai_agents_agent.py",
    "google-adk": "google_adk_agent.py",
    "openai-client": "openai_client_agent.py",
}
"""The file of each agent."""

Act = Callable[[JournalEvent], None]


class Recipe(NamedTuple):
    """A server with one recipe, and the model that it asks."""

    client: Client
    models: Models

    def asked(self, text: str) -> list[Received]:
        """The requests whose last message of the user begins with a text, oldest first."""
        last = ([said for role, said in one.said if role == "user"] for one in self.models.requests)
        return [
            one for one, texts in zip(self.models.requests, last, strict=True) if texts[-1].startswith(text)
        ]


class Conversation:
    """A session with one recipe."""

    def __init__(self, client: Client, agent: str) -> None:
        self.client = client
        self.session = client.open_session(agent).id

    def say(self, text: str, act: Act = lambda event: None) -> list[JournalEvent]:
        """Say something; the events of the run, to its end. `act` sees each as it comes."""
        events: list[JournalEvent] = []
        after = self.client.send(self.session, text).seq
        for event in self.client.follow(
            self.session, after, until=lambda event: event.type == "run.finished"
        ):
            assert isinstance(event, JournalEvent)
            act(event)
            events.append(event)
        return events


@pytest.fixture(scope="module", params=RECIPES)
def agent(request: pytest.FixtureRequest) -> str:
    """The name of each recipe's agent."""
    return request.param


@pytest.fixture(scope="module")
def recipe(agent: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Recipe]:
    """The server with the recipe."""
    if not READY.is_file():
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("recipes")
    home = folder / "home"
    home.mkdir(mode=0o700)
    (folder / "mail.py").write_text(TOOL)
    (home / "tenure.toml").write_text(f'[agents.{agent}]\ntools = ["send_mail"]\n')
    file = ROOT / "examples" / RECIPES[agent]
    command = [PYTHON, "-m", "tenure.cli.main", "serve", file, "mail.py", "--json", "--port", "0"]
    with models_aside(key=KEY) as models:
        with subprocess.Popen(
            [*command, "--home", home],
            cwd=folder,
            env=environment(models),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                answer = process.stdout.readline()
                assert answer, f"the server didn't start: {' '.join(map(str, command))}"
                url = msgspec.json.decode(answer, type=Announcement).url
                with Client(url, home=home) as client:
                    yield Recipe(client, models)
            finally:
                process.kill()  # nothing of it is to be kept
                process.wait(BOUND_S)


def environment(models: Models) -> dict[str, str]:
    """The environment that the examples say they need."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    openai = {"OPENAI_BASE_URL": models.v1, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": MODEL}
    google = {"GOOGLE_GEMINI_BASE_URL": models.url, "GOOGLE_API_KEY": KEY, "GEMINI_MODEL": f"gemini-{MODEL}"}
    return {**clean, **openai, **google, "OPENAI_AGENTS_DISABLE_TRACING": "1"}


@pytest.fixture
def conversation(recipe: Recipe, agent: str) -> Conversation:
    """A session with each recipe."""
    return Conversation(recipe.client, agent)
