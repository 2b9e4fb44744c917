"""What the compiler says of kernels, and the script that prints it."""

from __future__ import annotations

import pytest

from tests.kernels.cuda_cases import plan_of

pytest.importorskip("numba_cuda", reason="compiling CUDA kernels needs numba-cuda: pip install 'lossctl[cuda]'")

from benchmarks import gpu
from lossctl_kernels import cuda_resources
from lossctl_kernels.cuda_resources import Resources, launches, without_a_gpu


def test_every_kernel_of_a_plan_is_launched_with_its_types() -> None:
    started = launches(plan_of(("cosine_global", {}), 3, "float32"))
    names = ["rows_kernel", "report_kernel", "state_kernel", "merge_kernel", "gradient_kernel"]
    assert [one.name for one in started] == names
    assert [str(argument) for argument in started[0].types.args[0]] == [
        "array(float32, 2d, C)",
        "array(float32, 2d, C)",
        "array(float64, 1d, C)",
    ]
    names = [one.name for one in launches(plan_of(("scce", {}), 3, "float64"))]
    assert names == ["rows_kernel", "report_kernel", "gradient_kernel"]


def test_the_report_of_the_assembler_is_read() -> None:
    log = "0 bytes gmem\n  48 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads\nUsed 77 registers"
    found = [cuda_resources._number(pattern, log) for pattern in (r"Used (\d+) registers", r"(\d+) bytes spill stores")]
    assert found == [77, 12]
    with pytest.raises(RuntimeError, match="no 'Used"):
        cuda_resources._number(r"Used (\d+) barriers", log)


def test_the_made_up_device_is_gone_afterwards() -> None:
    from numba import cuda

    before = cuda.api.get_current_device
    with without_a_gpu():
        assert cuda.api.get_current_device is not before
    assert cuda.api.get_current_device is before
    with pytest.raises(ZeroDivisionError), without_a_gpu():
        raise ZeroDivisionError
    assert cuda.api.get_current_device is before


def test_the_benchmark_prints_the_resources(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cuda_resources, "resources", lambda started: Resources(77, 256, 8))
    monkeypatch.setattr("sys.argv", ["gpu", "--resources", "--loss", "rmse"])
    gpu.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("rmse ")]
    names = ["rows_kernel", "report_kernel", "state_kernel", "merge_kernel", "gradient_kernel"]
    assert lines == [["rmse", "1", name, "77", "1024", "256", "8"] for name in names]
