"""What the messages of the command line are in Python: an option is an argument there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lossctl.errors import LossctlError

__all__ = ["in_python"]

_ARGUMENTS = {
    r"--pred-col\b": "columns={'prediction': …}",
    r"--target-col\b": "columns={'target': …}",
    r"--weight-col\b": "columns={'weights': …}",
    r"--input-col (\w+)=…": r"columns={'\1': …}",
    r"--input \w+=FILE, in Python with ": "",
    r"--input (\w+)=\S+": r"inputs={'\1': …}",
    r"--nonfinite (\w+)": r"nonfinite='\1'",
    r"--missing (\w+)": r"missing='\1'",
    r"--class-axis (-?\d+)": r"class_axis=\1",
    r"--ignore-index (-?\d+)": r"ignore_index=\1 in the loss",
    r"--loss (\w+)": r"loss '\1'",
    r"--from-logits\b": "input=logit in the loss",
    r"--(classes|weights|on)\b": r"\1=",
    r"--class-axis\b": "class_axis=",
    r"--class-weights\b": "class_weight= in the loss",
}


@contextmanager
def in_python() -> Iterator[None]:
    """Has errors name arguments of the Python API where they would name options of the command line."""
    try:
        yield
    except LossctlError as error:
        error.reword(_argument)
        raise


def _argument(text: str) -> str:
    for option, argument in _ARGUMENTS.items():
        text = re.sub(option, argument, text)
    return text
