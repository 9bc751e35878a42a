"""What tells one implementation of a tool from another, so that a grant holds the one that was granted."""

import hashlib

import msgspec


def fingerprint(*parts: object) -> str:
    """Twelve hex digits that are others if any part, which is any JSON, is another."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:12]
