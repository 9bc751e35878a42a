"""Every statement of the SQLite store, by its name."""

from tenure.stores.relational.statements import dialect

SQL = dialect("tenure.stores.sqlite")
