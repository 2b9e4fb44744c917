"""Runs what Python's own command line would run, and writes the most memory that it held to a file.

python -m benchmarks.peak FILE (-m MODULE | -c CODE) [ARGUMENT…]
"""

from __future__ import annotations

import atexit
import runpy
import sys
from pathlib import Path

from benchmarks.machine import peak_bytes


def main() -> None:
    """The report is written however the program ends."""
    report, kind, what, *arguments = sys.argv[1:]
    sys.argv = [what, *arguments]
    atexit.register(lambda: Path(report).write_text(str(peak_bytes()), encoding="utf-8"))
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<program>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
