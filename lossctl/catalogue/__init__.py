"""The losses by every name that they have, and what is said of each."""
