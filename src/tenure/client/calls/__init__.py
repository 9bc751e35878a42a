"""The questions that can be asked of a server, a file per family. `tenure.client.clients` joins them."""
