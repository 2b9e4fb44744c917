"""The commands by name, and where each of them is. A new command is a module and a line here.

A module has `HELP`, whose first line is shown among the commands, and the function `command`.
"""

from __future__ import annotations

COMMANDS = {
    "eval": "lossctl.cli.eval",
    "grad": "lossctl.cli.grad",
    "batch": "lossctl.cli.batch",
    "run": "lossctl.cli.run",
    "validate": "lossctl.cli.validate",
    "compare": "lossctl.cli.compare",
    "diff": "lossctl.cli.diff",
    "why": "lossctl.cli.why",
    "baseline": "lossctl.cli.baseline",
    "inspect": "lossctl.cli.inspect",
    "list": "lossctl.cli.list",
    "explain": "lossctl.cli.explain",
    "check": "lossctl.cli.check",
    "doctor": "lossctl.cli.doctor",
    "warmup": "lossctl.cli.warmup",
    "bench": "lossctl.cli.bench",
    "schema": "lossctl.cli.schema",
}
