"""The ways between hosts: within one process, and over Postgres. Both pass `tenure.signals.contract`."""
