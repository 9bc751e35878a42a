"""Floor 4: the command line. It reaches servers through the client, and starts one through the wiring."""
