"""How the client finds its server and key."""

from pathlib import Path

import pytest

from tenure.client import Client, Place, ServerUnreachable, find_place
from tenure.errors import ConfigError
from tests.client.hosted import Hosted


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home on which a server runs."""
    (tmp_path / "server.json").write_text('{"url":"http://127.0.0.1:4321","pid":1}')
    (tmp_path / "admin.key").write_text("tnr_home\n")
    return tmp_path


def test_what_is_given_wins(home: Path) -> None:
    environment = {"TENURE_SERVER": "http://b", "TENURE_KEY": "from-environment"}

    assert find_place("https://a.example:1/", "given", home, environment) == Place(
        "https://a.example:1", "given"
    )


def test_environment_comes_second(home: Path) -> None:
    environment = {"TENURE_SERVER": "http://b.example", "TENURE_KEY": "from-environment"}

    assert find_place(None, None, home, environment) == Place("http://b.example", "from-environment")


def test_home_comes_last(home: Path) -> None:
    assert find_place(None, None, None, {"TENURE_HOME": str(home)}) == Place(
        "http://127.0.0.1:4321", "tnr_home"
    )


def test_homes_key_opens_another_port_of_this_machine(home: Path) -> None:
    assert find_place("http://localhost:9", None, home, {}).key == "tnr_home"


def test_homes_key_is_not_sent_to_another_machine(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"no key for http://elsewhere\.example"):
        find_place("http://elsewhere.example", None, home, {})


def test_home_without_a_server_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="tenure serve"):
        find_place(None, None, tmp_path, {})


def test_home_without_a_key_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--key or TENURE_KEY"):
        find_place("http://127.0.0.1:1", None, tmp_path, {})


@pytest.mark.parametrize("text", ["127.0.0.1:8321", "ftp://host", "http://", "http://h:0", "http://[::1"])
def test_address_that_is_none_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ConfigError, match="The server's address is") as refused:
        find_place(text, "k", None, {})

    assert text in str(refused.value)


def test_key_with_strange_characters_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        find_place("http://127.0.0.1:1", "schlüssel", None, {})

    assert "schlüssel" not in str(refused.value)


def test_unreadable_server_file_is_named(home: Path) -> None:
    (home / "server.json").write_text("{")

    with pytest.raises(ConfigError, match=r"server\.json can't be read"):
        find_place(None, None, home, {})


def test_client_finds_a_running_server_by_its_home(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENURE_SERVER", "TENURE_KEY"):
        monkeypatch.delenv(name, raising=False)

    with Client(home=hosted.home) as client:
        assert client.whoami().root
    assert client.address == hosted.url
