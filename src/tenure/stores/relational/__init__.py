"""What the stores of both databases share: acts, reads, statements, and the Store port over a lane."""
