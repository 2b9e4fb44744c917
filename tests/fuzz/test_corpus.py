"""The files that are kept: broken ones of public suites, and what a reader here once failed on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lossctl.errors import DataError, UsageError
from lossctl.sources import contents
from tests.fuzz.reading import clear, outcome
from tests.fuzz.seeds import seeds

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_each_column_is_data_or_a_clear_error(file: Path, tmp_path: Path) -> None:
    seed = seeds()[file.parent.name]
    path = tmp_path / f"f{seed.extension}"
    shutil.copy(file, path)
    outcome(path, file.read_bytes(), named=seed.named)
    try:
        names = contents(str(path)) or []
    except (DataError, UsageError) as error:
        clear(error, path.name)
        return
    for name in names:
        outcome(path, file.read_bytes(), named=True, columns=(name,))


def test_the_corpus_is_small() -> None:
    assert len(FILES) >= 50
    assert sum(file.stat().st_size for file in FILES) < 1 << 20
