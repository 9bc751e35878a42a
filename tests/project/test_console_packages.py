"""Holds the console's packages to the bar of the Python ones: pinned, hashed, without address or script."""

import re
from pathlib import Path
from typing import Any

import msgspec

CONSOLE = Path(__file__).parents[2] / "console"
INTEGRITY = re.compile(r"sha512-[A-Za-z0-9+/]{86}==")


def read(name: str) -> dict[str, Any]:
    """A JSON file of the console."""
    return msgspec.json.decode((CONSOLE / name).read_bytes(), type=dict[str, Any])


def test_every_package_is_pinned_to_one_version() -> None:
    package = read("package.json")
    wanted = {**package["dependencies"], **package["devDependencies"]}

    assert [name for name, version in wanted.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []


def test_the_lock_has_a_hash_for_every_package_and_no_address() -> None:
    packages: dict[str, dict[str, Any]] = read("package-lock.json")["packages"]
    installed = {name: one for name, one in packages.items() if name}

    assert [
        name for name, one in installed.items() if not INTEGRITY.fullmatch(one.get("integrity", ""))
    ] == []
    assert [name for name, one in packages.items() if "resolved" in one] == []
    assert re.findall(r"\w+://", without_funding()) == []


def test_no_script_of_a_package_is_run_and_no_address_gets_into_the_lock() -> None:
    settings = set((CONSOLE / ".npmrc").read_text().splitlines())

    assert {"ignore-scripts=true", "omit-lockfile-registry-resolved=true", "save-exact=true"} <= settings


def test_the_console_itself_asks_for_nothing_but_its_host() -> None:
    named = {
        f"{path.relative_to(CONSOLE)}: {address}"
        for path in [CONSOLE / "index.html", *(CONSOLE / "src").rglob("*")]
        if path.suffix in {".html", ".svelte", ".ts", ".css"} and not path.name.endswith(".test.ts")
        for address in re.findall(
            r"(?:src|url|import|fetch)[=(\s]+[\"'`]?((?:https?:)?//[^\s\"'`)]+)", path.read_text()
        )
    }

    assert named == set()


def without_funding() -> str:
    """The lock's text without what says where a package's maker takes money."""
    return re.sub(
        r'"funding": (\{[^}]*\}|\[[^\]]*\]|"[^"]*")', "", (CONSOLE / "package-lock.json").read_text()
    )
