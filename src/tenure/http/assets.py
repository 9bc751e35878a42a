"""The files that the console's build made, in memory: read once, then served from a dict.

The app reads them when it is made, and `console` writes the answers. A request never becomes a path on
disk, so there is no way out of the folder.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "console_files"
"""Where the build puts them. In a clone that wasn't built, and only there, it is missing."""

INDEX = "index.html"
ASSETS = "assets"
ICON, MANIFEST, ROBOTS = "favicon.svg", "manifest.webmanifest", "robots.txt"
BESIDE = (ICON, MANIFEST, ROBOTS)
"""What is served from the root, beside the page itself."""

MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
"""What the build may make, by the end of its name. Anything else isn't served."""


class Form(NamedTuple):
    """A file as it goes over the wire, with the tag by which a browser asks whether it has changed."""

    body: bytes
    tag: str


class Asset(NamedTuple):
    """One file: as it is, and compressed."""

    media: str
    plain: Form
    zipped: Form


class Assets(NamedTuple):
    """All files of the console. `page` is None where the console wasn't built."""

    page: Asset | None = None
    beside: Mapping[str, Asset] = {}
    hashed: Mapping[str, Asset] = {}
    """Those whose names hold a hash of their content, by name: they never change."""


@cache
def read(folder: Path = FOLDER) -> Assets:
    """The files of a folder, or none if there is no page in it. A process reads each folder once."""
    page = _asset(folder / INDEX)
    if page is None:
        return Assets()
    beside = {name: asset for name in BESIDE if (asset := _asset(folder / name))}
    return Assets(page, beside, dict(_hashed(folder / ASSETS)))


def _hashed(folder: Path) -> list[tuple[str, Asset]]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(path.name, asset) for path in paths if (asset := _asset(path))]


def _asset(path: Path) -> Asset | None:
    """A file with its compressed twin, which the build has laid beside it as `NAME.gz`."""
    media = MEDIA.get(path.suffix)
    if media is None or not path.is_file():
        return None
    plain, twin = path.read_bytes(), path.with_name(f"{path.name}.gz")
    zipped = twin.read_bytes() if twin.is_file() else gzip.compress(plain, mtime=0)
    digest = hashlib.sha256(plain).hexdigest()[:32]
    return Asset(media, Form(plain, f'"{digest}"'), Form(zipped, f'"{digest}-gzip"'))
