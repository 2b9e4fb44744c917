"""What Arrow's errors mean: of the file, or of the machine."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lossctl.errors import EnvironmentFault
from lossctl.sources.arrow import machine_fault


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (pa.ArrowMemoryError("malloc of size 1048576 failed"), "out of memory for t.csv"),
        (pa.ArrowMemoryError(), "out of memory for t.csv"),
        (OSError("Failed to launch worker thread: Resource temporarily unavailable"), "cannot read t.csv: Failed"),
        (OSError("Error creating pipe. Detail: [errno 24] Too many open files"), "cannot read t.csv: Error"),
    ],
)
def test_what_the_machine_refuses(error: Exception, says: str) -> None:
    fault = machine_fault("t.csv", error)
    assert isinstance(fault, EnvironmentFault)
    assert fault.message.startswith(says)


@pytest.mark.parametrize(
    "error",
    [
        pa.ArrowMemoryError("malloc of size 9223372036854775744 failed"),
        pa.ArrowInvalid("CSV parse error"),
        OSError("Corrupt snappy compressed data."),
    ],
)
def test_what_is_the_fault_of_the_file(error: Exception) -> None:
    assert machine_fault("t.csv", error) is None
