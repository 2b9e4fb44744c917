"""One loss over a stream of chunks: a module for each kind, and what they have in common."""
