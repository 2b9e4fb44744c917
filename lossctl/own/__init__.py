"""Losses of one's own: how a file becomes one, and what is wrong with its code."""
