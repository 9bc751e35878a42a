"""Adapters for the tool port: typed Python functions, servers of tools, and the registry of both."""
