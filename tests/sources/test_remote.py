"""Object stores and web servers on loopback: what is fetched, and what is never taken for data."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.errors import EnvironmentFault, UsageError
from lossctl.sources import Selection, contents, open_reader, remote
from lossctl.sources.remote import shown
from tests.sources.conftest import ReadAll, Refusal

P = np.random.default_rng(0).normal(size=1000)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket of an S3-compatible server; its name."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        _fill(tmp_path_factory.mktemp("store"))
        yield "s3://bucket"
    server.stop()


def _fill(folder: Path) -> None:
    import s3fs

    np.save(folder / "p.npy", P)
    for number in (2, 10):
        np.save(folder / f"part-{number}.npy", P[:500] if number == 2 else P[500:])
    (folder / "p.csv").write_text("p\n" + "".join(f"{value!r}\n" for value in P.tolist()))
    noise = {f"noise_{i}": pa.array(np.random.default_rng(i).normal(size=200_000)) for i in range(10)}
    parquet.write_table(pa.table({"p": pa.array(np.arange(200_000.0)), **noise}), folder / "p.parquet")
    system = s3fs.S3FileSystem()
    system.mkdir("bucket")
    for file in folder.iterdir():
        place = f"bucket/shards/{file.name}" if file.name.startswith("part") else f"bucket/{file.name}"
        system.put(str(file), place)
    for number, place in enumerate(("y=0", "_y=1", "_temporary", "y=1/.hidden", "y=1")):
        table = pa.table({"p": [float(number)]})
        with system.open(f"bucket/{'under' if place == '_y=1' else 'hive'}/{place}/a.parquet", "wb") as handle:
            parquet.write_table(table, handle)


def read(url: str, column: str | None = None) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    selection = Selection(None if column is None else (column,))
    with open_reader(url, {"prediction": selection}) as reader:
        return np.concatenate([chunk["prediction"] for chunk in reader.chunks(300)])


@pytest.mark.parametrize("name", ["p.npy", "p.csv", "shards", "shards/part-*.npy"])
def test_objects(store: str, name: str) -> None:
    np.testing.assert_array_equal(read(f"{store}/{name}"), P)


def test_a_glob_is_listed_once(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []
    original = remote.remote_paths

    def counted(url: str) -> list[str] | None:
        listed.append(url)
        return original(url)

    monkeypatch.setattr(remote, "remote_paths", counted)
    np.testing.assert_array_equal(read(f"{store}/shards/part-*.npy"), P)
    assert listed == [f"{store}/shards/part-*.npy"]


def test_a_partitioned_folder(store: str) -> None:
    roles = {"prediction": Selection(("p",)), "target": Selection(("y",))}
    with open_reader(f"{store}/hive", roles) as reader:
        (chunk,) = reader.chunks(9)
    assert {role: array.tolist() for role, array in chunk.items()} == {"prediction": [0.0, 4.0], "target": [0, 1]}
    assert contents(f"{store}/hive") == ["p", "y"]
    assert contents(f"{store}/under") == ["p", "_y"]
    assert contents(f"{store}/hive/*/a.parquet") == ["p"]


def test_only_the_columns_that_are_needed(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    original = remote.RemoteFile.read_into

    def counted(self: remote.RemoteFile, offset: int, buffer: memoryview) -> None:
        fetched.append(len(buffer))
        original(self, offset, buffer)

    monkeypatch.setattr(remote.RemoteFile, "read_into", counted)
    np.testing.assert_array_equal(read(f"{store}/p.parquet", "p"), np.arange(200_000.0))
    with open_reader(f"{store}/p.parquet", {"prediction": Selection(("p",))}) as reader:
        assert reader.place("prediction", 3) == f"{store}/p.parquet, row 3, column 'p'"
    assert sum(fetched) < 5_000_000  # of 18 MB


def test_what_is_not_there(store: str, refusal: Refusal) -> None:
    assert refusal(f"{store}/gone.npy").message == f"no such file: {store}/gone.npy"
    assert refusal(f"{store}/gone.parquet").message == f"no such file: {store}/gone.parquet"
    assert "no file matches" in refusal(f"{store}/gone-*.npy").message
    assert refusal("s3://nobody/p.npy").exit_code == 3


def table() -> bytes:
    """A file of Parquet."""
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"p": [0.5, 1.5]}), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


class Pages(http.server.BaseHTTPRequestHandler):
    """What web servers do: succeed, refuse, break off, say "not found" with a page, and send no part of a file."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        name = self.path.partition("?")[0]
        body = b"p\n0.5\n1.5\n" if name != "/page.npy" else b"<html>please log in</html>"
        body = table() if name == "/t.parquet" else body
        status = {"missing": 404, "secret": 403, "broken": 500}.get(name.strip("/").partition(".")[0], 200)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (100 if name == "/short.csv" else 0)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pages(site: str, read_all: ReadAll, refusal: Refusal) -> None:
    assert read(f"{site}/p.csv?token=secret").tolist() == [0.5, 1.5]
    for name in ("missing.csv", "secret.csv", "broken.csv", "short.csv", "page.npy"):
        error = refusal(f"{site}/{name}?token=hunter2")
        assert error.exit_code == 3
        assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("name", "says", "remedy"),
    [
        ("missing.csv", "no such file: ", "check the bucket and the name"),
        ("secret.csv", "cannot read .*: the server answers 403 Forbidden$", "check the credentials"),
        ("broken.csv", "cannot read .*: the server answers 500 Internal Server Error$", "try again"),
    ],
)
def test_what_a_server_answers_is_told(site: str, refusal: Refusal, name: str, says: str, remedy: str) -> None:
    for url in (f"{site}/{name}", f"{site}/{name}".replace("csv", "parquet")):
        error = refusal(url)
        assert re.match(says, error.message)
        assert error.hint is not None
        assert error.hint.startswith(remedy)


def test_a_server_that_is_not_there(refusal: Refusal) -> None:
    assert "Cannot connect to host" in refusal("http://127.0.0.1:1/p.npy").message


def test_a_server_that_sends_no_part_of_a_file(site: str) -> None:
    assert read(f"{site}/t.parquet").tolist() == [0.5, 1.5]


def test_secrets_are_not_shown() -> None:
    assert shown("https://user:pass@host/p.npy?X-Amz-Signature=abc") == "https://host/p.npy?…"


def test_unknown_schemes_and_missing_extras(monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    error = refusal("ftp://host/p.npy")
    assert isinstance(error, UsageError)
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    error = refusal("gs://bucket/p.npy")
    assert isinstance(error, EnvironmentFault)
    assert error.hint == "pip install 'lossctl[gcs]'"
