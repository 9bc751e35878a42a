"""Floor 3: stores. Each keeps the whole truth in its own best SQL; they know no other adapter."""
