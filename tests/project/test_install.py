"""Holds the base install to its ceiling: what a user without extras downloads and keeps on disk.

It reads the base lock file and the metadata of what is installed; nothing is downloaded.
"""

from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
MOST_DISTRIBUTIONS = 40
MOST_BYTES = 45 * 1024 * 1024


def test_base_install_has_at_most_40_distributions() -> None:
    names = [requirement.name for requirement in base_requirements()]

    assert len(["tenure", *names]) <= MOST_DISTRIBUTIONS, names


def test_base_install_takes_at_most_45_mib() -> None:
    sizes = {requirement.name: installed_bytes(requirement) for requirement in base_requirements()}
    sizes["tenure"] = sum(size(path) for path in (ROOT / "src").rglob("*"))

    assert sum(sizes.values()) <= MOST_BYTES, sizes


def base_requirements() -> Iterator[Requirement]:
    """The pins of the base lock that apply to this platform."""
    lines = (ROOT / "requirements" / "base.txt").read_text().splitlines()
    for line in lines:
        if line.startswith(("#", " ")):
            continue
        requirement = Requirement(line.removesuffix("\\"))
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def installed_bytes(requirement: Requirement) -> int:
    """The size of a distribution's files; a missing one fails the test by its name."""
    installed = distribution(requirement.name)
    assert installed.version in requirement.specifier, f"{requirement.name} isn't as locked"
    return sum(size(Path(str(file.locate()))) for file in installed.files or [])


def size(path: Path) -> int:
    """A file's size; compiled bytecode doesn't count, since it depends on what has run."""
    return path.stat().st_size if path.is_file() and path.suffix != ".pyc" else 0
