"""Result documents that are read: what is one, and what is said of what is none."""

from __future__ import annotations

import copy
import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossctl import documents
from lossctl.documents import read_document
from lossctl.errors import DataError, UsageError
from tests.cli.commands import SAMPLES, call

Document = dict[str, Any]

DOCUMENT: Document = {
    "schema": "lossctl.result/1",
    "version": "0.1.0",
    "status": "ok",
    "inputs": [{"role": "prediction", "path": "p.npy", "format": "npy", "shape": [569], "dtype": "float32"}],
    "results": [
        {
            "loss": "bce",
            "options": {"eps": 0.0},
            "reduction": "mean",
            "value": 0.25,
            "unit": "nat",
            "sum": 142.25,
            "weight": 569.0,
            "samples": 569,
            "nonfinite": 0,
            "stats": {"std_error": 0.1, "p95": None},
            "status": "ok",
            "signature": "bce|eps=0|lossctl=0.1.0",
        }
    ],
    "gates": [],
    "backend": "python",
    "threads": 1,
    "seconds": 0.01,
    "warnings": [],
}


def result(**changes: Any) -> Document:
    """The document with another result; `...` takes a field away."""
    changed = copy.deepcopy(DOCUMENT)
    entry = {**changed["results"][0], **changes}
    return {**changed, "results": [{name: value for name, value in entry.items() if value is not ...}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.json"


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "with a mark": lambda text: text.encode("utf-8-sig"),
    "as PowerShell redirects": lambda text: text.encode("utf-16"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_document_reads_back(encoding: str, path: Path) -> None:
    path.write_bytes(ENCODINGS[encoding](json.dumps(DOCUMENT)))
    assert read_document(str(path)) == DOCUMENT


@pytest.mark.parametrize(
    "given", [result(value=None), result(sum=None, weight=None), result(stats=...), result(value=2)]
)
def test_what_need_not_be_there(given: Document, path: Path) -> None:
    path.write_text(json.dumps(given))
    assert read_document(str(path)) == given


def test_what_eval_writes_is_a_document(tmp_path: Path) -> None:
    files = [str(SAMPLES / "binary" / name) for name in ("preds.npy", "labels.npy")]
    for name in ("r.json", "r.jsonl"):
        assert call("eval", *files, "--loss", "bce", "--stats", "-o", tmp_path / name).code == 0
        assert read_document(str(tmp_path / name))["results"][0]["loss"] == "bce"


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(json.dumps(DOCUMENT),))
    writer.start()
    assert read_document(str(pipe)) == DOCUMENT
    writer.join()


NOT_JSON: dict[str, tuple[bytes, str]] = {
    "half of it": (b'{"schema": ', "Expecting value"),
    "no text": (b"\xff\x00\x81", "decode"),
    "two documents": (b"{}\n{}\n", "Extra data"),
    "deeper than Python goes": (b"[" * 100_000, "nested more than 20 deep"),
    "deeper than any document": (
        json.dumps(result(x=1)).replace('"x": 1', f'"x": {"[" * 500}{"]" * 500}').encode(),
        "20",
    ),
    "a name that stands twice": (
        json.dumps(DOCUMENT).replace('"sum"', '"value"').encode(),
        "a name stands twice",
    ),
    "NaN": (json.dumps(result(value=math.nan)).encode(), "NaN is no number of JSON"),
    "infinity": (json.dumps(result(options={"eps": -math.inf})).encode(), "-Infinity is no number of JSON"),
    "a number that is infinite": (json.dumps(DOCUMENT).replace("0.25", "1e999").encode(), "1e999 is too large"),
    "digits without end": (json.dumps(DOCUMENT).replace("0.25", "9" * 5000).encode(), "integer string conversion"),
}


@pytest.mark.parametrize("what", NOT_JSON)
def test_what_is_no_json(what: str, path: Path) -> None:
    text, said = NOT_JSON[what]
    path.write_bytes(text)
    with pytest.raises(
        DataError, match=r"r\.json is no result document: it is not JSON \(.*; lossctl eval …"
    ) as raised:
        read_document(str(path))
    assert said in str(raised.value)
    assert len(str(raised.value)) < 500


INPUTS = "it does not say what its inputs were"
BROKEN: dict[str, tuple[object, str]] = {
    "null": (None, "it is no JSON object"),
    "a list": ([DOCUMENT], "it is no JSON object"),
    "no schema": ({}, "its schema is not given, not lossctl.result/1"),
    "another schema": ({"schema": "lossctl.comparison/1"}, "its schema is lossctl.comparison/1, not lossctl.result/1"),
    "a schema that speaks": ({"schema": ["\x1b[2J"]}, "its schema is ['\\x1b[2J'], not"),
    "no inputs": ({**DOCUMENT, "inputs": None}, INPUTS),
    "inputs of another type": ({**DOCUMENT, "inputs": [1]}, INPUTS),
    "an input without a role": ({**DOCUMENT, "inputs": [{"shape": [1]}]}, INPUTS),
    "an input without a shape": ({**DOCUMENT, "inputs": [{"role": "target"}]}, INPUTS),
    "a shape of words": ({**DOCUMENT, "inputs": [{"role": "target", "shape": ["a"]}]}, INPUTS),
    "a shape below 0": ({**DOCUMENT, "inputs": [{"role": "target", "shape": [-1]}]}, INPUTS),
    "a truth for a size": ({**DOCUMENT, "inputs": [{"role": "target", "shape": [True]}]}, INPUTS),
    "no results": ({**DOCUMENT, "results": []}, "it has no results"),
    "results of another type": ({**DOCUMENT, "results": {"a": 1}}, "it has no results"),
    "a result that is none": ({**DOCUMENT, "results": [*DOCUMENT["results"], 3]}, "result 2 is no JSON object"),
    "no loss": (result(loss=...), "result 1 has no loss or no signature"),
    "no signature": (result(signature=None), "result 1 has no loss or no signature"),
    "no options": (result(options=[]), "result 1 has no options"),
    "no value": (result(value=...), "result 1 has no value"),
    "a value of words": (result(value="0.4"), "result 1 has a value that is no number"),
    "a truth for a value": (result(value=True), "result 1 has a value that is no number"),
    "a value that no float holds": (result(value=10**400), "result 1 has a value that is no number"),
    "a sum of words": (result(sum="1"), "result 1 has a value that is no number"),
    "a count of words": (result(samples="many"), "result 1 has counts that are none"),
    "a count without end": (result(samples=10**400), "result 1 has counts that are none"),
    "a count below 0": (result(clipped=-1), "result 1 has counts that are none"),
    "no count": (result(skipped=None), "result 1 has counts that are none"),
    "statistics that are none": (result(stats=[1]), "result 1 has statistics that are none"),
    "a statistic of words": (result(stats={"p95": "x"}), "result 1 has statistics that are none"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_result_document(what: str, path: Path) -> None:
    given, said = BROKEN[what]
    path.write_text(json.dumps(given))
    with pytest.raises(DataError) as raised:
        read_document(str(path))
    assert f"r.json is no result document: {said}" in str(raised.value)


def test_a_file_of_any_size_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(json.dumps(DOCUMENT) + " " * (1 << 20))
    monkeypatch.setattr(documents, "MOST_BYTES", 1 << 20)
    with pytest.raises(DataError, match="it is larger than 1 MiB"):
        read_document(str(path))


def test_files_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_document(str(path))
    with pytest.raises(DataError, match="is a folder"):
        read_document(str(path.parent))
    with pytest.raises(DataError, match="is a device"):
        read_document("/dev/null")
    path.touch()
    with pytest.raises(DataError, match="is empty"):
        read_document(str(path))
    for name in ("", "a\0b"):
        with pytest.raises(UsageError, match="cannot be the name of a file"):
            read_document(name)
