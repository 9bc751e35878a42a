"""Numbered SQL files, applied once each, in order. A released one never changes."""
