"""The command line: one file a command. Commands parse, call and render; they hold no logic of their own.

Modules here import nothing heavy until a command runs: `--help`, `--version` and completion must be instant.
"""
