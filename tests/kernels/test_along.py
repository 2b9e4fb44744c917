"""Long rows: chunks that are written twice and chunks that are written once give the same numbers."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from llvmlite import ir

from lossctl_kernels.along import Along
from lossctl_kernels.cpu import Cpu
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.kernels import _write_block
from lossctl_kernels.recipes import recipe_of
from tests.kernels.cases import Case, draw
from tests.kernels.engines import sample_losses

SHORT = Case("mse")
LONG = Case("tweedie_deviance", {"power": 1.9})


@pytest.mark.parametrize(("case", "times"), [(SHORT, 2), (LONG, 1)], ids=str)
def test_what_is_much_to_compile_is_written_once(case: Case, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    look_at_chunk = Along.look_at_chunk

    def counted(self: Along, *arguments: Any) -> None:
        written.append(self)
        look_at_chunk(self, *arguments)

    monkeypatch.setattr(Along, "look_at_chunk", counted)
    plan = case.plan(40)
    _write_block(ir.Module(), recipe_of(plan, plan.value, "float64"))
    assert len(written) == times


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT leaves nothing to compile")
@pytest.mark.parametrize("case", [SHORT, LONG], ids=str)
def test_every_value_of_a_row_counts_once(case: Case) -> None:
    """Rows of whole chunks, of one more value, of one less."""
    for width in (33, 47, 48, 49, 64):
        prediction, target = draw(case, 20, width)
        plan = case.plan(width)
        expected = sample_losses(Interpreter(), plan, prediction, target)
        np.testing.assert_allclose(sample_losses(Cpu(1), plan, prediction, target), expected, rtol=1e-13)
