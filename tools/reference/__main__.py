"""Brings docs/reference up to date and says what changed."""

import sys

from tools.reference import write

sys.stdout.writelines(f"docs/reference/{name}\n" for name in write())
