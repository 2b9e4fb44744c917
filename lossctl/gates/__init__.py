"""Gates: what `--fail-if` and `--warn-if` say, and whether it holds."""
