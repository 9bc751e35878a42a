"""Runs every Python example of the documentation, page by page, beside a real server."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tenure.cli.serve import Announcement
from tenure.runners.loader import load_agents
from tests.docs.pages import DOCS, Block, blocks, name_of, pages

BOUND_S = 50


def python_pages() -> list[Path]:
    """The pages that have Python on them."""
    return [page for page in pages() if any(block.language == "python" for block in blocks(page))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a server that hosts the tutorial's agent and the demo agents."""
    folder = tmp_path_factory.mktemp("docs")
    tutorial = next(b for b in blocks(DOCS / "tutorial.md") if b.title == "my_agents.py")
    (folder / "my_agents.py").write_text(tutorial.text)
    home = folder / "home"
    home.mkdir(mode=0o700)
    bindings = next(b for b in blocks(DOCS / "how-to/receive-events.md") if b.title == "tenure.toml")
    (home / "tenure.toml").write_text(bindings.text)
    command = [sys.executable, "-m", "tenure.cli.main", "serve", "my_agents.py", "--demo", "--json"]
    with subprocess.Popen(
        [*command, "--port", "0", "--home", str(home)],
        cwd=folder,
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        answer = process.stdout.readline()
        assert answer, "the server didn't start"
        assert msgspec.json.decode(answer, type=Announcement).home == str(home)
        yield home
        process.terminate()
        assert process.wait(BOUND_S) == 0


def environment(home: Path) -> dict[str, str]:
    """The environment of a reader who has the home and nothing else of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    return {**clean, "TENURE_HOME": str(home)}


@pytest.mark.usefixtures("fresh_imports")
@pytest.mark.parametrize("page", python_pages(), ids=name_of)
def test_the_examples_of_a_page_run_in_order(page: Path, tmp_path: Path, server: Path) -> None:
    for block in blocks(page):
        if block.language != "python":
            continue
        if block.compile_only:
            ast.parse(block.text, block.place)
        else:
            use(block, tmp_path, server)


def use(block: Block, folder: Path, home: Path) -> None:
    """Run an example: agents are loaded as by a server, tests by pytest, the rest as programs."""
    name = block.title or "example.py"
    (folder / name).write_text(block.text)
    if name.startswith("my_agents"):
        assert load_agents(str(folder / name))
        return
    test = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    command = [*test, name] if name.startswith("test_") else [name]
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**environment(home), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert ran.returncode == 0, f"{block.place}\n{ran.stdout}\n{ran.stderr}"
