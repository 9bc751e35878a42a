"""Floor 3: code that does agent work, behind the runner port."""
