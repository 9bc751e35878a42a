"""The Postgres store: the journal, the leases and the hints of many hosts."""
