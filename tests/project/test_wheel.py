"""The package brings the console: whoever installs it, from wheel or source archive, needs no Node.js.

Everything is built from the working tree, without a network.
"""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "src" / "tenure" / "http" / "console_files"
IN_WHEEL = "tenure/http/console_files/"
BOUND_S = 50


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, unpacked."""
    if not (BUILT / "index.html").is_file() and not os.environ.get("CI"):
        pytest.skip("The console isn't built: ./dev console")
    folder = tmp_path_factory.mktemp("source")
    made = build("--sdist", ROOT, folder, os.environ["PATH"])
    assert made.returncode == 0, made.stderr
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def test_a_wheel_is_made_of_the_source_archive_without_node(source: Path, tmp_path: Path) -> None:
    made = build("--wheel", source, tmp_path, without_programs(tmp_path))

    assert made.returncode == 0, made.stderr
    files = names_in_wheel(tmp_path)
    page = (BUILT / "index.html").read_text()
    named = {name.removeprefix("/") for name in re.findall(r'(?:src|href)="(/[^"]+)"', page)}
    assert {IN_WHEEL + name for name in ("index.html", "licenses.md", *named)} <= files


def test_a_wheel_without_a_console_is_only_made_if_asked_for(source: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run(["cp", "-r", source, bare], check=True)
    for path in sorted((bare / "src" / "tenure" / "http" / "console_files").rglob("*")):
        if path.is_file():
            path.unlink()

    refused = build("--wheel", bare, tmp_path, without_programs(tmp_path))
    made = build("--wheel", bare, tmp_path, without_programs(tmp_path), TENURE_BUILD_WITHOUT_CONSOLE="1")

    assert refused.returncode != 0
    assert "The package would have no console, or an old one. Install Node.js 20.19" in refused.stderr
    assert made.returncode == 0, made.stderr
    assert [name for name in names_in_wheel(tmp_path) if name.startswith(IN_WHEEL)] == []


def build(kind: str, tree: Path, target: Path, path: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Build a package with the tools of the lock, finding other programs on this path."""
    uv = Path(sys.executable).parent / "uv"
    command = [uv, "build", kind, "--offline", "--no-build-isolation", "--python", sys.executable]
    environment = {**os.environ, "PATH": path, "UV_NO_PROGRESS": "1", **more}
    return subprocess.run(
        [*command, "--out-dir", target, tree],
        env=environment,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


def without_programs(folder: Path) -> str:
    """A path on which there is nothing, so no Node.js either."""
    nothing = folder / "nothing"
    nothing.mkdir(exist_ok=True)
    return str(nothing)


def names_in_wheel(folder: Path) -> set[str]:
    """What is in the one wheel of a folder."""
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return set(wheel.namelist())
