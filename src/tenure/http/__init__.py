"""Floor 3: the HTTP face. One route table, one front, one table of problems; `app` puts them together."""
