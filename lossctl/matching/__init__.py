"""Rows that belong together by their keys, and not by their place."""
