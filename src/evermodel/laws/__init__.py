"""What every plug of a room must obey; run by our tests and by plug authors."""
