"""Three deployed models kept good on shipped real data."""
