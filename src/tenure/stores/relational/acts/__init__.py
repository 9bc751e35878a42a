"""Acts by theme. Each is a function of a transaction; the rules they apply are core's."""
