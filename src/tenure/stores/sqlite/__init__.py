"""The embedded store: one file, one writer thread, group commit, `synchronous=FULL`."""
