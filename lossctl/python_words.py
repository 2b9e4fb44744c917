"""What the messages of the command line are in Python: an option is an argument there."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lossctl.errors import LossctlError, LossctlWarning

_ARGUMENTS = {
    r"--pred-col\b": "columns={'prediction': …}",
    r"--target-col\b": "columns={'target': …}",
    r"--weight-col\b": "columns={'weights': …}",
    r"--input-col (\w+)=…": r"columns={'\1': …}",
    r"--input \w+=FILE, in Python with ": "",
    r"--input (\w+)=\S+": r"inputs={'\1': …}",
    r"leave out --from-logits\b": "leave out input=logit",
    r"--nonfinite (error|propagate|skip)\b": r"nonfinite='\1'",
    r"--missing (error|drop)\b": r"missing='\1'",
    r"--class-axis (-?\d+)": r"class_axis=\1",
    r"--ignore-index (-?\d+)": r"ignore_index=\1 in the loss",
    r"--loss (\w+)": r"loss '\1'",
    r"--from-logits\b": "input=logit in the loss",
    r"--per-sample FILE writes (.*); in Python, ": r"\1: ",
    r"--per-sample writes": "lossctl.per_sample gives",
    r"--by country --by sex --cross\b": "by=['country', 'sex'], cross=True",
    r"--(by|classes|cross|missing|nonfinite|on|top|weights)\b": r"\1=",
    r"--class-axis\b": "class_axis=",
    r"--min-slice\b": "min_slice=",
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


def warn(messages: Iterable[str]) -> None:
    """Has Python warn of these, at the line that called a function under `in_python`."""
    for message in messages:
        warnings.warn(_argument(message), LossctlWarning, stacklevel=4)  # this, the function, what is around it


def _argument(text: str) -> str:
    for option, argument in _ARGUMENTS.items():
        text = re.sub(option, argument, text)
    return text
