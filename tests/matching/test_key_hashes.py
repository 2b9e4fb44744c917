"""Keys of every type, side by side: whole numbers in one word or two, texts, several columns."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import feather, parquet

from lossctl.errors import DataError
from lossctl.matching import alignment
from lossctl.matching.key_hashes import KeyHasher
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl.sources import Selection, open_reader
from lossctl_kernels import key_tables

LEAST, MOST = -(2**63), 2**63 - 1
SIGNED = [0, -1, LEAST, MOST, 1, -2, 2**32, -(2**32), 7]
UNSIGNED = [0, 2**64 - 1, 2**63, MOST, 1, 2**64 - 2, 2**32, 7, 2**63 + 1]


@pytest.fixture(autouse=True, params=["sorted", "hashed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("TABLE_ROWS", "COMPILING_ROWS"):
        monkeypatch.setattr(key_tables, name, 0 if request.param == "hashed" else 1 << 40)
    monkeypatch.setattr(alignment, "CHUNK_ROWS", 4)
    return str(request.param)


def files_of(folder: Path, own: Any, other: Any, **options: Any) -> InputFiles:
    """Tables of the keys, with the row of each as its value."""
    for name, keys in (("p", own), ("y", other)):
        columns: dict[str, Any] = dict(keys) if isinstance(keys, dict) else {"id": keys}
        columns[name] = np.arange(len(next(iter(columns.values())))) / 64
        parquet.write_table(pa.table(columns), folder / f"{name}.parquet")
    on = tuple(own) if isinstance(own, dict) else ("id",)
    return InputFiles(str(folder / "p.parquet"), str(folder / "y.parquet"), ("p",), ("y",), on=on, **options)


def partners(files: InputFiles) -> list[tuple[int, int]]:
    """(row of the predictions, row of the targets) of each row."""
    with closing(open_feed(files)) as feed:
        chunks = list(feed.chunks(1024))
    found = (np.concatenate([chunk[role] for chunk in chunks]) * 64 for role in ("prediction", "target"))
    own, other = (rows.astype(int).tolist() for rows in found)
    return list(zip(own, other, strict=True))


def joined(own: list[Any], other: list[Any]) -> list[tuple[int, int]]:
    return [(row, other.index(key)) for row, key in enumerate(own) if key in other]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("own", "other"),
    [
        (pa.array(SIGNED), pa.array(SIGNED)),
        (pa.array(UNSIGNED, pa.uint64()), pa.array(UNSIGNED, pa.uint64())),
        (pa.array(SIGNED), pa.array(UNSIGNED, pa.uint64())),
        (pa.array(UNSIGNED, pa.uint64()), pa.array(SIGNED)),
        (pa.array([5, 3, 2**63 - 1], pa.uint64()), pa.array([3, -5, 5])),
        (pa.array([-128, 127, 0, 5], pa.int8()), pa.array([5, 0, -128, 127, 2**31 - 1], pa.int32())),
        (pa.array([255, 1, 0], pa.uint8()), pa.array([0, 255, -1, 1], pa.int16())),
        (pa.array([2**32 - 1, 1], pa.uint32()), pa.array([-1, 1, 2**32 - 1])),
        (pa.array(SIGNED), pa.array([str(key) for key in SIGNED])),
        (pa.array([str(key) for key in SIGNED]), pa.array(SIGNED)),
        (pa.array(UNSIGNED, pa.uint64()), pa.array([str(key) for key in UNSIGNED])),
        (pa.array([str(key) for key in [*SIGNED, 2**64 - 1]]), pa.array(UNSIGNED, pa.uint64())),
    ],
)
def test_whole_numbers_match_where_python_says_that_they_are_equal(
    own: Any, other: Any, order: int, tmp_path: Path
) -> None:
    other = other[::order] if order == 1 else other.take(pa.array(range(len(other) - 1, -1, -1)))
    found = partners(files_of(tmp_path, own, other, missing="drop"))
    assert found == joined([int(key) for key in own.to_pylist()], [int(key) for key in other.to_pylist()])


def test_numbers_of_both_signs_are_found_however_late(tmp_path: Path) -> None:
    """The bits of -1 and of 2**64 - 1 are the same: the keys are read again as two words."""
    own, other = [*range(20), -1], np.array([*range(19, -1, -1), 2**64 - 1], np.uint64)
    with pytest.raises(DataError) as raised:
        open_feed(files_of(tmp_path, own, other))
    assert "1 key of" in raised.value.message
    assert "'-1' (" in raised.value.message
    assert "'18446744073709551615' (" in raised.value.message
    expected = [(row, 19 - row) for row in range(20)]
    assert partners(files_of(tmp_path, own, other, missing="drop")) == expected


@pytest.mark.parametrize("late", [0, 2])
def test_repeated_numbers_are_counted_and_shown(late: int, tmp_path: Path) -> None:
    own = [LEAST, 5, -1, 7, -1, 5, -1]
    other = np.array([5, 7, 2**64 - late], np.uint64) if late else [5, 7, -1, LEAST, LEAST]
    with pytest.raises(DataError) as raised:
        open_feed(files_of(tmp_path, own, other, missing="drop"))
    assert "3 rows of" in raised.value.message
    assert "'-1' (" in raised.value.message
    assert "'5' (" in raised.value.message
    assert ("1 row of" in raised.value.message) == (not late)


def test_dates_and_other_types_are_refused_as_before(tmp_path: Path) -> None:
    days = [dt.date(2024, 1, day) for day in (1, 2, 3)]
    with pytest.raises(DataError, match=r"'id' holds date32.*a key or the name of a class is text or a whole number"):
        open_feed(files_of(tmp_path, pa.array(days), pa.array(days)))
    with pytest.raises(DataError, match="'id' holds double"):
        open_feed(files_of(tmp_path, [1.0, 2.0], [1, 2]))


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string()])
def test_a_null_is_refused_where_it_stands(kind: Any, tmp_path: Path) -> None:
    keys = pa.array([1, 2, None]).cast(kind)
    with pytest.raises(DataError, match=r"y\.parquet, row 2, column 'id': null is not a name or a key"):
        open_feed(files_of(tmp_path, keys.fill_null(pa.scalar(3).cast(kind)), keys))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_match_where_they_are_equal_byte_by_byte(kind: Any, tmp_path: Path) -> None:
    texts = ["é", "e\u0301", "a", "A", " a", "a" * 300, "\0", "\0\0", "日本", "1", "01", "-0"]
    other = texts[::-1]
    found = partners(files_of(tmp_path, pa.array(texts).cast(kind), pa.array(other)))
    assert found == joined(texts, other)


def test_several_columns_of_numbers_and_texts(tmp_path: Path) -> None:
    pairs = [(LEAST, "a"), (-1, "a"), (MOST, "a"), (-1, "b"), (0, "b"), (1, ""), (0, "a")]
    numbers, texts = ([pair[place] for pair in pairs] for place in (0, 1))
    texts[5] = "c"
    own = {"number": numbers, "text": texts}
    other = {"number": numbers[::-1], "text": texts[::-1]}
    assert partners(files_of(tmp_path, own, other)) == [(row, 6 - row) for row in range(7)]
    large = {"number": np.array([5, 2**64 - 1], np.uint64), "text": ["a", "a"]}
    small = {"number": [5, -1], "text": ["a", "a"]}
    assert partners(files_of(tmp_path, large, small, missing="drop")) == [(0, 0)]


def words_of(folder: Path, own: Any, other: Any) -> int:
    files = files_of(folder, own, other)
    paths = files.predictions, str(files.targets)
    roles = {"key id": Selection(("id",), is_key=True)}
    readers = [open_reader(path, roles) for path in paths]
    hasher = KeyHasher(readers, list(roles))
    widths = {hasher.lanes(reader, chunk, 0).shape[1] for reader in readers for chunk in reader.chunks(8)}
    for reader in readers:
        reader.close()
    assert widths == {hasher.words}
    return hasher.words


def test_a_whole_number_takes_one_word_and_a_text_two(tmp_path: Path) -> None:
    assert words_of(tmp_path, [1, -2], [3, 4]) == 1
    assert words_of(tmp_path, np.array([1, 2**63], np.uint64), [3, 4]) == 1
    assert words_of(tmp_path, [1, -2], ["3", "4"]) == 1
    assert words_of(tmp_path, ["1", "2"], ["3", "4"]) == 2


class Counted:
    """Counts the rows of columns that are made arrays, in batches of whatever size."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any) -> None:
        self.rows: Counter[tuple[str, ...]] = Counter()
        original = owner.arrays

        def arrays(table: Any, batch: Any, start: int) -> dict[str, NDArray[Any]]:
            self.rows[tuple(sorted(batch.schema.names))] += batch.num_rows
            found: dict[str, NDArray[Any]] = original(table, batch, start)
            return found

        monkeypatch.setattr(owner, "arrays", arrays)


@pytest.mark.parametrize("format", ["parquet", "arrow", "shards"])
def test_keys_and_values_are_each_decoded_once(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lossctl.sources.arrow_table import ArrowTable

    counted = Counted(monkeypatch, ArrowTable)
    keys = np.arange(40)
    for name, rows in (("p", keys), ("y", keys[::-1])):
        columns: dict[str, Any] = {"id": rows, name: rows / 64, "unused": keys}
        table = pa.table(columns)
        if format == "shards":
            (tmp_path / name).mkdir()
            for first in (0, 20):
                parquet.write_table(table[first : first + 20], tmp_path / name / f"{first}.parquet")
        elif format == "arrow":
            feather.write_feather(table, str(tmp_path / f"{name}.arrow"))
        else:
            parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=10)
    paths = [str(tmp_path / (name if format == "shards" else f"{name}.{format}")) for name in ("p", "y")]
    found = partners(InputFiles(paths[0], paths[1], ("p",), ("y",), on=("id",)))
    assert found == [(row, row) for row in range(40)]
    assert counted.rows == {("id",): 2 * 40, ("p",): 40, ("y",): 40}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_an_empty_text_is_refused_where_it_stands(kind: Any, tmp_path: Path) -> None:
    texts = pa.array(["a", "b", "c", "d", "e", "", ""]).cast(kind)
    with pytest.raises(DataError, match=r"y\.parquet, row 5, column 'id': the key is empty; give each row a key"):
        open_feed(files_of(tmp_path, ["a", "b"], texts, missing="drop"))


def test_truths_are_texts(tmp_path: Path) -> None:
    assert partners(files_of(tmp_path, [True, False], ["false", "true"])) == [(0, 1), (1, 0)]


def test_texts_of_files_of_several_kinds_and_batches(tmp_path: Path) -> None:
    """Text tables give Python's texts, others Arrow's, of which a batch may begin in the middle."""
    texts = [f"key {number} ü" for number in range(30)]
    order = np.random.default_rng(0).permutation(30)
    (tmp_path / "p.csv").write_text("id,p\n" + "".join(f"{text},{row / 64}\n" for row, text in enumerate(texts)))
    columns: dict[str, Any] = {"id": [texts[place] for place in order], "y": order / 64}
    table = pa.table(columns)
    (tmp_path / "y").mkdir()
    for first in (0, 7):
        parquet.write_table(table[first : first + 7], tmp_path / "y" / f"{first}.parquet", row_group_size=3)
    feather.write_feather(table[14:], str(tmp_path / "y" / "last.arrow"), chunksize=5)
    files = InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y"), ("p",), ("y",), on=("id",))
    assert partners(files) == [(row, row) for row in range(30)]


@pytest.mark.parametrize("on", [("id",), ("id", "other")])
def test_texts_that_repeat_or_lack_a_partner_are_shown_as_they_are(on: tuple[str, ...], tmp_path: Path) -> None:
    own = {name: ["a", "é", "a", "only here"] for name in on}
    other = {name: ["é", "a", "only there", "é"] for name in on}
    with pytest.raises(DataError) as raised:
        open_feed(files_of(tmp_path, own, other))
    told = raised.value.message
    for text, row in (("a", 2), ("é", 3), ("only here", 3), ("only there", 2)):
        assert f"'{', '.join([text] * len(on))}' ({tmp_path / ''}" in told
        assert f"row {row}, column 'id'" in told


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_slice_of_texts_has_the_hashes_of_its_rows(kind: Any, tmp_path: Path, way: str) -> None:
    files = files_of(tmp_path, ["a"], ["a"])
    with open_reader(files.predictions, {"key id": Selection(("id",), is_key=True)}) as reader:
        encoders = KeyHasher([reader, reader], ["key id"]).encoders
    assert bool(encoders) == (way == "hashed")
    texts = pa.array([f"key {number}" for number in range(12)]).cast(kind)
    for encoder in encoders.values():
        whole = encoder.encode(texts, str)
        assert whole.shape == (12, encoder.width)
        assert len(np.unique(whole)) == 24
        assert np.array_equal(encoder.encode(texts[3:9], str), whole[3:9])
        assert encoder.encode(texts[12:], str).shape == (0, encoder.width)
