"""`lossctl check`: whether the gradient of a loss is the slope of its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.declarations import Argument

if TYPE_CHECKING:
    from lossctl.checks.check import Check, CrossCheck

HELP = """Compare a loss's gradient with finite differences of its value.

Example: lossctl check my_losses.py:asymmetric

SPEC is your own loss, path/to/file.py:function, whose file is run, or any other loss, such as huber:delta=2. It is
checked on its whole domain, for several values of each parameter that SPEC does not set. The value must also be a
finite number everywhere, and interpreted and compiled code must agree. Exit code 1 if any check fails, as for a failed
gate.
"""

Spec = Annotated[str, Argument(metavar="SPEC", help="path/to/file.py:function[:option=value,…], or any other loss.")]


def command(spec: Spec, format: o.RowsFormat = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.catalogue.loss_spec import parse
    from lossctl.checks.check import check
    from lossctl.cli.text import print_facts

    wanted = o.rows_format(format)
    found = check(parse(spec))
    print_facts(_rows(found), found.to_document, wanted)
    if found.faults:
        from lossctl.errors import CheckFailed

        raise CheckFailed(f"{found.loss}: {found.faults[0]}")


def _rows(found: Check) -> dict[str, str]:
    """What was found, by what it is of."""
    from lossctl.checks.check import AGREEMENT

    rows = {"loss": found.loss}
    if found.source is not None:
        rows["source"] = found.source
    several = f", in {found.settings} settings of the parameters" if found.settings > 1 else ""
    rows["points"] = f"{found.points}{several}"
    rows["value"] = "finite everywhere" if found.undefined is None else f"not a finite number at {found.undefined}"
    if found.overflow is not None:
        rows["overflow"] = f"beyond float64 at {found.overflow}"
    rows |= _gradient(found)
    if found.backends is not None:
        agree = found.backends.error <= AGREEMENT
        rows["backends"] = "python and cpu agree" if agree else f"python and cpu DIFFER by {found.backends.error:.1e}"
    if found.no_compiler is not None:
        rows["backends"] = f"python only: {found.no_compiler}"
    rows["verdict"] = "; ".join(found.faults) if found.faults else "ok"
    return rows


def _gradient(found: Check) -> dict[str, str]:
    if not found.has_gradient:
        return {"gradient": f"none; {found.how_to_add}"}
    rows = {} if found.gradient is None else _worst(found.gradient)
    if found.undecided:
        rows["undecided"] = f"{found.undecided} slopes: the value jumps there, or is infinite"
    return rows


def _worst(found: CrossCheck) -> dict[str, str]:
    from lossctl.checks.check import NOISE

    return {
        "worst point": str(found.place),
        "gradient": f"{found.first:.8g}",
        "finite difference": f"{found.second:.8g}",
        "relative error": f"below {NOISE:g}" if found.error <= NOISE else f"{found.error:.1e}",
    }
