"""Protocols of others that this host speaks: each its own file, each with its own library, loaded late."""
