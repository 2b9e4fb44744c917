"""Writes what is generated in the documentation: the reference of the losses, and the output of every command shown.

    scripts/docs

`losses.md` and `losses/` are views of the registry (`pages.py`). In `console` blocks, here and in the README, a line
that begins with "$ " is a command; what stands under it is what the command prints at a terminal of 100 columns. The
commands of one document run in order, in a folder of their own with a copy of `sample_data`.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

from docs.pages import PAGES, pages

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""What is written by hand, and the index of the losses; their pages are those of `reference`."""

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = re.compile(r'(?<="seconds": )[0-9.e-]+')


def main() -> None:
    """Brings every document up to date, in place."""
    for outdated in set(PAGES.glob("*.md")) - set(reference()):
        outdated.unlink()
    PAGES.mkdir(exist_ok=True)
    documents = [*dict.fromkeys((*DOCUMENTS, *reference()))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # what takes time are the commands
        for document, text in zip(documents, pool.map(current, documents), strict=True):
            document.write_text(text, encoding="utf-8")


@cache
def reference() -> dict[Path, str]:
    """The text of every file of the reference, without what its commands print."""
    return pages()


def current(document: Path) -> str:
    """What the document should hold. Raises CalledProcessError for a command in it that fails."""
    text = reference().get(document) or document.read_text(encoding="utf-8")
    if not CONSOLE.search(text):
        return text
    with tempfile.TemporaryDirectory() as folder:
        place = with_sample_data(Path(folder))
        return CONSOLE.sub(lambda block: f"```console\n{''.join(session(block[1], place))}```", text)


def with_sample_data(folder: Path) -> Path:
    """The folder, with a copy of `sample_data` in it."""
    shutil.copytree(ROOT / "sample_data", folder / "sample_data", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


# ---- what commands print


def session(block: str, folder: Path) -> Iterable[str]:
    """Each command of a console block as it is written, and what it prints now."""
    for shown in re.findall(r"^\$ .*(?:(?<=\\)\n> .*)*", block, re.MULTILINE):
        command = re.sub(r"\\\n> ", "", shown.removeprefix("$ "))
        yield f"{shown}\n"
        yield SECONDS.sub("0.004", printed(command, folder))  # of all that is printed only the time varies


def printed(command: str, folder: Path) -> str:
    """Results and messages of a command at a terminal. Raises CalledProcessError where it fails."""
    reader, screen = pty.openpty()
    arguments = ["bash", "-euo", "pipefail", "-c", command]
    process = subprocess.Popen(
        arguments, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=screen, stderr=screen
    )
    os.close(screen)
    found = b""
    with suppress(OSError):  # Linux has an error for the end of a pseudo-terminal
        while part := os.read(reader, 1 << 16):
            found += part
    os.close(reader)
    text = found.decode().replace("\r\n", "\n")
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command, text)
    return text


def environment() -> dict[str, str]:
    """A plain terminal of 100 columns, where `lossctl` is this interpreter's."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("LOSSCTL_") and name != "FORCE_COLOR"
    }
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1", "LOSSCTL_NO_PROGRESS": "1"}
    return {**kept, **plain, "PATH": path}


if __name__ == "__main__":
    main()
