"""The `cuda` backend: in Numba's simulator everywhere, and on the GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lossctl_kernels import cuda, gpu

FILES = [Path(__file__).with_name(name) for name in ("cuda_agreement.py", "cuda_streaming.py")]


@pytest.mark.parametrize("simulator", ["1", "0"], ids=["simulator", "device"])
def test_every_loss_agrees_with_the_interpreter_and_streams(simulator: str) -> None:
    """Numba decides when it is imported whether to simulate, so that this needs a process of its own."""
    if simulator == "0" and not gpu.available():
        pytest.skip(f"{gpu.why_unavailable()}; pip install 'lossctl[cuda]' on a machine with an NVIDIA GPU")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, FILES)],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": simulator},
        cwd=FILES[0].parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
    assert "skipped" not in result.stdout


def test_a_machine_that_cannot_run_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "why_unavailable", lambda: "no NVIDIA driver was found")
    with pytest.raises(gpu.BackendUnavailable, match="cuda backend cannot run: no NVIDIA driver"):
        cuda.Cuda()


def test_only_the_backend_itself_imports_numba() -> None:
    program = (
        "import sys, lossctl_kernels.gpu, lossctl_kernels.cuda\n"
        "lossctl_kernels.gpu.available()\n"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
