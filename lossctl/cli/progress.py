"""A progress bar on stderr, for a person who has waited a second. Nothing in a pipe, nothing that is left behind."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

PATIENCE_SECONDS = 1.0


class Progress:
    """Called with the rows, or what `unit` names, that are done; `total` is None where nobody knows it yet."""

    def __init__(self, total: int | None, wanted: bool, unit: str = "rows") -> None:
        self._total, self._unit = total, unit
        self._wanted = wanted and sys.stderr.isatty()
        self._started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, done: int) -> None:
        if not self._wanted or time.monotonic() - self._started < PATIENCE_SECONDS:
            return
        try:
            if self._bar is None:
                self._start()
            self._bar.update(self._task, completed=done)
        except OSError:  # the terminal has gone, which changes nothing of the work
            self._wanted = False

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn(self._unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._unit, total=self._total)
        self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()
