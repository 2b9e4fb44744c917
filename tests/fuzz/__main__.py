"""The coverage-guided fuzzer, on one reader: `python -m tests.fuzz csv -max_total_time=5`, with libFuzzer's options.

It begins with the seeds and the files of `corpus/NAME`, finds its way by what Python code runs, and fails on anything
that is neither data nor an error of ours, on 10 seconds for one file and on 1.5 GB of memory. A file that fails is left
in the current folder: small, it belongs in the corpus.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lossctl.sources"]):
    from lossctl.sources import (  # noqa: F401 - loaded here to be followed
        arrow_ipc,
        cells,
        containers,
        delimited,
        formats,
        hdf5,
        json_lines,
        json_records,
        npy,
        npz,
        opening,
        parquet,
        raw_array,
        records,
        safetensors,
        selection,
        spool,
    )

from tests.fuzz.reading import outcome
from tests.fuzz.seeds import seeds

CORPUS = Path(__file__).parent / "corpus"
LIMITS = ("-rss_limit_mb=1500", "-malloc_limit_mb=1024", "-timeout=10", "-max_len=8192")


def main() -> None:
    """Fuzzes the reader that the first argument names."""
    name, *options = sys.argv[1:]
    seed = seeds()[name]
    with tempfile.TemporaryDirectory(prefix="lossctl-fuzz-") as folder:
        found = Path(folder, "found")
        found.mkdir()
        (found / "seed").write_bytes(seed.data)
        path = Path(folder, f"f{seed.extension}")
        kept = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
        arguments = [sys.argv[0], *LIMITS, *options, str(found), *kept]

        def read(data: bytes) -> None:
            outcome(path, data, named=seed.named)

        atheris.Setup(arguments, read)
        # It ends the process itself, without its folder being removed.
        if (child := os.fork()) == 0:
            atheris.Fuzz()
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
