"""lossctl."""
