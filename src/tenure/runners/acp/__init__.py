"""The acp runner."""
