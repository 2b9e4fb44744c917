"""What is wrong with data that were refused, what to do about it, and what looks wrong."""
