"""Agents to try Tenure with: offline, without a key. `tenure serve --demo` hosts them."""
