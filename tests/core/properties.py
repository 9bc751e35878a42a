"""How property tests run: the same examples every time, and no limit that a busy machine breaks."""

from hypothesis import settings

properties = settings(deadline=None, derandomize=True, max_examples=200)
