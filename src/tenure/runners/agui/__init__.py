"""Runs agents behind AG-UI 1.0 endpoints: one request a leg, whose events become outputs."""
