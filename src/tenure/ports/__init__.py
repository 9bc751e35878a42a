"""Floor 1: what we need from outside, as protocols in the words of core."""
