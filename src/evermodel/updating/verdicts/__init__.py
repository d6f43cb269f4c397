"""What a verdict on an update rests on: both models' answers side by side, and rows that may judge."""
