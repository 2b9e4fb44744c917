"""What the code of somebody else prints while it runs here goes to stderr: stdout is for results."""

from __future__ import annotations

import sys
import threading
from typing import TextIO


class _Aside:
    """Sends what is printed to stderr for as long as a thread is within: there is one stdout for all of them."""

    def __init__(self) -> None:
        self._lock, self._within = threading.Lock(), 0
        self._stdout: TextIO | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._stdout, sys.stdout = sys.stdout, sys.stderr
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within and self._stdout is not None:
                sys.stdout = self._stdout


printing_aside = _Aside()
