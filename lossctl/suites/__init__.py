"""Evaluations that a TOML file names, with their gates and outputs."""
