"""The commands by name, and where each of them is. A new command is a module and a line here.

A module has `HELP`, whose first line is shown among the commands, and the function `command`.
"""

from __future__ import annotations

COMMANDS = {
    "eval": "lossctl.cli.eval",
    "grad": "lossctl.cli.grad",
    "baseline": "lossctl.cli.baseline",
    "list": "lossctl.cli.list",
    "explain": "lossctl.cli.explain",
    "check": "lossctl.cli.check",
    "inspect": "lossctl.cli.inspect",
    "doctor": "lossctl.cli.doctor",
    "compare": "lossctl.cli.compare",
    "why": "lossctl.cli.why",
    "diff": "lossctl.cli.diff",
    "warmup": "lossctl.cli.warmup",
    "schema": "lossctl.cli.schema",
}
