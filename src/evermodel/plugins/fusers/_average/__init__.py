"""Parts of the fusers that average weights."""
