"""What the verb ``maintain`` is made of: its memory, its worker, its updates."""
