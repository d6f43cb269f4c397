"""How a booster of two halves is put together."""
