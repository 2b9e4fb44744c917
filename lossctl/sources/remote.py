"""Object stores and web servers, through fsspec: Parquet and Arrow by ranges, other formats copied first.

`s3://` needs the extra `s3`, `gs://` `gcs`, `az://` `azure`, `http://` and `https://` `http`. Where credentials come
from is the library's business: the environment, the usual files. What is not a success is an error, never data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from lossctl.errors import DataError, EnvironmentFault, LossctlError, UsageError, visible
from lossctl.sources.input_file import InputFile, SeekableInput
from lossctl.sources.spool import spooled

EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "http": "http", "https": "http"}
"""The extra of each scheme."""


_FIRST_FAILURE = 400
_NOT_ALLOWED = (401, 403)
_GONE = (404, 410)


def shown(url: str) -> str:
    """A URL for messages: what may be secret, a password or the query of a signed URL, is left out."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return visible(urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", "")))


def open_ranges(url: str) -> InputFile:
    """The file at a URL, of which only what is asked for is fetched; a copy, where a web server sends it only whole."""
    with _faults(url):
        system, path = _system(url)
        if urlsplit(url).scheme in ("http", "https") and not _sends_ranges(system, path):
            return open_copy(url)
        return RemoteFile(url, system, path)


def _sends_ranges(system: Any, path: str) -> bool:
    """Whether a web server sends the last byte alone. Python's own does not, nor one that does not know the size."""
    try:
        with system.open(path, "rb", cache_type="none") as stream:
            stream.seek(-1, os.SEEK_END)
            return len(stream.read(1)) == 1
    except ValueError:  # no place to go to, or more than was asked for
        return False


def open_copy(url: str) -> InputFile:
    """A copy of the file at a URL."""
    with _faults(url):
        system, path = _system(url)
        with system.open(path, "rb", cache_type="readahead", block_size=8 << 20) as stream:
            return spooled(url, stream, shown(url))


def remote_paths(url: str) -> list[str] | None:
    """The URLs of a glob or of a folder, in no order; None where `url` is one file."""
    with _faults(url):
        system, path = _system(url)
        scheme = url.partition("://")[0]
        if re.search(r"[*?\[]", urlsplit(url).path) and not system.exists(path):
            found = system.glob(path)
        elif scheme not in ("http", "https") and system.isdir(path):
            found = [each for each in system.find(path) if not _is_left_out(each.removeprefix(path.rstrip("/")))]
        else:
            return None
        if not found:
            raise DataError(f"no file matches '{shown(url)}'", hint="check the bucket and the prefix")
        return [system.unstrip_protocol(each) for each in found]


def _is_left_out(below: str) -> bool:
    """Whether a file of a folder is hidden, or in a hidden folder, as it would be here."""
    from lossctl.sources.shard_names import is_hidden_file, is_hidden_folder

    *folders, name = below.strip("/").split("/")
    return is_hidden_file(name) or any(map(is_hidden_folder, folders))


class RemoteFile(InputFile):
    """A file that is read by ranges."""

    def __init__(self, url: str, system: Any, path: str) -> None:
        self.path, self.name, self.is_copy = url, shown(url), True
        self._system, self._path = system, path
        self._state = self._look()
        self.size = self._state[0]
        if self.size == 0:
            raise DataError(f"{self.name} is empty (0 bytes)", hint="was it written to its end?")

    def fileno(self) -> int:
        raise OSError(f"{self.name} has no descriptor")

    def arrow_file(self) -> Any:
        import pyarrow as pa

        return pa.PythonFile(SeekableInput(self), "r")

    def read_into(self, offset: int, buffer: memoryview) -> None:
        with _faults(self.path):
            data = self._system.cat_file(self._path, start=offset, end=offset + len(buffer))
            if len(data) != len(buffer):
                raise DataError(f"{self.name} ended early", hint="try again, or copy it to a file first")
            buffer[:] = data

    def _look(self) -> tuple[int, ...]:
        """Size and a hash of what tells one version from another."""
        with _faults(self.path):
            self._system.invalidate_cache()
            about = self._system.info(self._path)
        if about.get("type") == "directory" or about.get("size") is None:
            raise DataError(f"{self.name} is not a file of known size", hint="name a file")
        return int(about["size"]), hash((about.get("ETag"), str(about.get("LastModified") or about.get("mtime"))))

    def close(self) -> None:
        """Each range is fetched by itself."""


def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it."""
    scheme = url.partition("://")[0].lower()
    if scheme not in EXTRAS:
        known = ", ".join(f"{each}://" for each in EXTRAS)
        raise UsageError(f"{visible(url)}: '{visible(scheme)}://' is not read; known are {known}")
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except ImportError as error:
        raise EnvironmentFault(
            f"reading {scheme}:// needs the extra '{EXTRAS[scheme]}': {visible(error)}",
            hint=f"pip install 'lossctl[{EXTRAS[scheme]}]'",
        ) from error


@contextmanager
def _faults(url: str) -> Iterator[None]:
    """Turns what the libraries raise into ours: they have no common class."""
    try:
        yield
    except LossctlError:
        raise
    except PermissionError:
        raise DataError(f"no permission to read {shown(url)}", hint="check the credentials") from None
    except Exception as error:
        raise _fault(url, error) from error


def _fault(url: str, error: Exception) -> DataError:
    # Whatever a web server does not answer with is a file that is not found, and only its cause tells.
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ is not None else error
    status = getattr(cause, "status", None)
    if isinstance(cause, FileNotFoundError) or status in _GONE:
        return DataError(f"no such file: {shown(url)}", hint="check the bucket and the name")
    if isinstance(status, int) and status >= _FIRST_FAILURE:
        reason = f"the server answers {status} {visible(getattr(cause, 'message', ''), 100)}".rstrip()
        hint = "check the credentials" if status in _NOT_ALLOWED else "try again, or copy it to a file first"
        return DataError(f"cannot read {shown(url)}: {reason}", hint=hint)
    reason = (visible(cause) if status is None else "") or type(cause).__name__
    query = urlsplit(url).query
    reason = reason.replace(query, "…") if query else reason
    return DataError(f"cannot read {shown(url)}: {reason}", hint="try again, or copy it to a file first")
