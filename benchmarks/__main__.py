"""All benchmarks, side by side with the peers: prints the tables, and a run of everything writes docs/benchmarks.md.

python -m benchmarks [--only PART] [--quick] [--long] [--losses NAME,…] [--output FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.machine import describe, use_processors
from benchmarks.options import Options
from benchmarks.peers import missing
from benchmarks.report import Section, page, show
from benchmarks.timing import CLOCKS
from lossctl_kernels import LOSSES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PARTS = ("kernels", "compiling", "processes", "files", "large", "growth")
INTRODUCTION = """\
Written by `python -m benchmarks`: this project and its peers, in turn, in one run on one machine. Times are the medians
of several runs; a ratio is the median of the ratios of runs that followed one another, and above 1 × the peer is
slower. `-` is what a peer has no function for, or a peer that is not installed. Compare ratios: times are of this
machine."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the parts that are asked for; the page is written at the end, of what was measured until then."""
    given = parser().parse_args(arguments)
    unknown = [name for name in (given.losses or "").split(",") if name and name not in LOSSES]
    if unknown or given.threads < 1:
        parser().error(f"no such loss: {', '.join(unknown)}" if unknown else "--threads must be 1 or more")
    if given.output and not given.output.absolute().parent.is_dir():
        parser().error(f"no such folder: {given.output.parent}")
    processors = use_processors(given.threads)
    options = Options(
        quick=given.quick,
        long=given.long,
        threads=processors,
        losses=tuple(given.losses.split(",")) if given.losses else (),
        clock_name=given.clock,
        progress=_progress if sys.stderr.isatty() else Options().progress,
    )
    everything = not (given.only or given.quick or given.losses)
    output = given.output or (PAGE if everything else None)
    facts = describe(processors)
    if absent := missing():
        facts.append(f"Not installed: {', '.join(absent)} (`pip install 'lossctl[bench]'`)")
    print("\n".join(facts))
    found: list[Section] = []
    try:
        for part in given.only or PARTS:
            # Each imports the peers that it needs.
            sections: Callable[[Options], Iterator[Section]] = import_module(f"benchmarks.{part}").sections
            for section in sections(options):
                show(section)
                found.append(section)
    finally:  # what was measured is not lost
        if output:
            output.write_text(page(INTRODUCTION, facts, found), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--only", choices=PARTS, action="append", help="repeatable; all parts by default")
    found.add_argument("--quick", action="store_true", help="small sizes: for a look, the figures mean little")
    found.add_argument(
        "--long", action="store_true", help="100 million rows of arrays and 160 million of tables as well"
    )
    found.add_argument("--losses", metavar="NAME,…", help="the losses of the kernel tables; all by default")
    found.add_argument("--threads", type=int, default=2, help="processors for everyone (default: 2)")
    found.add_argument(
        "--clock", choices=tuple(CLOCKS), default="wall", help="for kernels; cpu on a machine with other work"
    )
    found.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the Markdown page (default: docs/benchmarks.md, of a run of everything)",
    )
    return found


def _progress(what: str) -> None:
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
