"""The published figures: each measured on the real server, beside the floor that the machine sets.

`python -m benchmarks [works…]` measures and prints; `--write` also writes docs/reference/benchmarks.md.
"""
