"""What holds for every test: a compilation cache of its own, a clean environment, the same examples each time."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

# Each of these changes what a command prints, here and in the processes that tests start.
PRINTING = ("CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "LINES", "NO_COLOR", "PY_COLORS")

# What cannot be written is found out later where Python buffers, as it does for users.
BUFFERING = ("PYTHONUNBUFFERED",)

# The first call of a kernel compiles it, so a deadline would fail at random.
hypothesis.settings.register_profile("lossctl", derandomize=True, deadline=None)
hypothesis.settings.load_profile("lossctl")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the environment that this process and its children see."""
    for name in list(os.environ):
        if name in PRINTING or name in BUFFERING or name.startswith("LOSSCTL_"):
            del os.environ[name]
    # A job in the background of a script ignores interrupts, and so would the processes that tests start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Kept between runs beside pytest's own cache, never mixed with the user's.
    cache = getattr(config, "cache", None)
    folder = cache.mkdir("compiled") if cache is not None else Path(tempfile.mkdtemp(prefix="lossctl-tests-"))
    os.environ["XDG_CACHE_HOME"] = str(folder)
