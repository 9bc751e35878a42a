"""Floor 0: values and rules. Nothing here awaits, reads a clock, draws a random id, logs or does I/O."""
