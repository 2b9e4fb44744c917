"""The made-up results of the formats."""

from __future__ import annotations

from tests.outputs.conftest import gated_run, gradient_run, hard_run, hostile_run, plain_run

__all__ = ["gated_run", "gradient_run", "hard_run", "hostile_run", "plain_run"]
