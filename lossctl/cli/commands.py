"""The commands by name, and where each of them is. A new command is a module and a line here.

A module has `HELP`, whose first line is shown among the commands, and the function `command`.
"""

from __future__ import annotations

COMMANDS = {
    "eval": "lossctl.cli.eval",
    "grad": "lossctl.cli.grad",
    "list": "lossctl.cli.list",
    "explain": "lossctl.cli.explain",
    "doctor": "lossctl.cli.doctor",
    "warmup": "lossctl.cli.warmup",
}
