"""One file a framework: load, save, predict, fit."""
