"""The rows of the route table, a file per family. `tenure.http.routes` puts them together."""
