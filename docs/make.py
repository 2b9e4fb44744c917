"""Writes what is generated in the documentation: the reference of the losses, and the output of every command shown.

    scripts/docs

`losses.md` is a view of the registry. In `console` blocks, here and in the README, a line that begins with "$ " is a
command; what stands under it is what the command prints at a terminal of 100 columns. The commands of one document run
in order, in a folder of their own with a copy of `sample_data`.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lossctl.reference import describe, overview
from lossctl.results import spelled
from lossctl_kernels import LOSSES, Loss, Scope
from lossctl_kernels.domains import LOGIT, REAL, SIGN_LABEL, TargetKind

__all__ = ["CONSOLE", "DOCUMENTS", "ROOT", "current", "loss_reference", "printed", "session", "with_sample_data"]

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "losses.md"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = re.compile(r'(?<="seconds": )[0-9.e-]+')


def main() -> None:
    """Brings every document up to date, in place."""
    for document in DOCUMENTS:
        document.write_text(current(document), encoding="utf-8")


def current(document: Path) -> str:
    """What the document should hold. Raises CalledProcessError for a command in it that fails."""
    text = loss_reference() if document == REFERENCE else document.read_text(encoding="utf-8")
    if not CONSOLE.search(text):
        return text
    with tempfile.TemporaryDirectory() as folder:
        place = with_sample_data(Path(folder))
        return CONSOLE.sub(lambda block: f"```console\n{''.join(session(block[1], place))}```", text)


def with_sample_data(folder: Path) -> Path:
    """The folder, with a copy of `sample_data` in it."""
    shutil.copytree(ROOT / "sample_data", folder / "sample_data", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


# ---- what commands print


def session(block: str, folder: Path) -> Iterable[str]:
    """Each command of a console block as it is written, and what it prints now."""
    for shown in re.findall(r"^\$ .*(?:(?<=\\)\n> .*)*", block, re.MULTILINE):
        command = re.sub(r"\\\n> ", "", shown.removeprefix("$ "))
        yield f"{shown}\n"
        yield SECONDS.sub("0.004", printed(command, folder))  # of all that is printed only the time varies


def printed(command: str, folder: Path) -> str:
    """Results and messages of a command at a terminal. Raises CalledProcessError where it fails."""
    reader, screen = pty.openpty()
    arguments = ["bash", "-euo", "pipefail", "-c", command]
    process = subprocess.Popen(
        arguments, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=screen, stderr=screen
    )
    os.close(screen)
    found = b""
    with suppress(OSError):  # Linux has an error for the end of a pseudo-terminal
        while part := os.read(reader, 1 << 16):
            found += part
    os.close(reader)
    text = found.decode().replace("\r\n", "\n")
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command, text)
    return text


def environment() -> dict[str, str]:
    """A plain terminal of 100 columns, where `lossctl` is this interpreter's."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("LOSSCTL_") and name != "FORCE_COLOR"
    }
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1", "LOSSCTL_NO_PROGRESS": "1"}
    return {**kept, **plain, "PATH": path}


# ---- the reference of the losses

INTRODUCTION = """\
<!-- Written by scripts/docs from the registry: edit the definitions, not this file. -->

# The losses

`lossctl explain NAME` prints what stands here, and takes every name that a loss has elsewhere. A loss is written
`name:option=value,option=value`, such as `huber:delta=2` or `bce:input=logit,log_base=2`.

Throughout, `y` is the target, `p` a probability, `z` a logit, `e` the prediction minus the target, `w` the weight of a
class (of a row, where one loss is for the whole data set) and `ε` the label smoothing. Gradients are those of one loss;
in the gradient of a mean each is multiplied by its row's weight and divided by what the mean divides by.
"""


def loss_reference() -> str:
    """`losses.md`, with its commands but not what they print."""
    rows = [(f"[`{row['name']}`](#{row['name']})", row["summary"], row["input"], row["of"]) for row in overview()]
    parts = [INTRODUCTION, _table(("loss", "what it is", "predictions", "one loss for"), rows)]
    return "\n".join([*parts, *(_section(loss) for loss in LOSSES.values())])


def _section(loss: Loss) -> str:
    facts = next(found for found in describe(loss.name) if found["name"] == loss.name)
    options = [
        (f"`{option['name']}`", option["default"], option["allowed"], option["meaning"]) for option in facts["options"]
    ]
    parts = [f"## {loss.name}\n", f"{facts['description']}\n", _facts(facts)]
    parts.append(_table(("option", "default", "allowed", "meaning"), options))
    if facts["names"]:
        parts.append(
            _table(("elsewhere", "its names"), [(peer, _code(names)) for peer, names in facts["names"].items()])
        )
    if facts["presets"]:
        parts.append(_table(("preset", "sets"), [(peer, _settings(sets)) for peer, sets in facts["presets"].items()]))
    if "log_prob" not in list(loss.forms)[:1]:  # there are no logarithms among the sample data
        parts.append(f"```console\n$ {_example(loss)}\n```\n")
    return "\n".join(parts)


def _facts(facts: dict[str, Any]) -> str:
    domains = "; ".join(f"`{form}`: {domain}" for form, domain in facts["predictions"].items())
    lines = {
        "Loss": f"`{facts['formula']}`",
        "Gradient": f"`{facts['gradient']}`",
        "One loss for": facts["of"],
        "Unit": facts["unit"],
        "Predictions": domains,
        "Targets": facts["targets"],
        "Source": facts["source"],
    }
    return "".join(f"- {title}: {value}\n" for title, value in lines.items() if value)


def _settings(settings: dict[str, Any]) -> str:
    """What a preset sets: "`eps=1e-07` (input=prob), `denom=count`"."""
    found = []
    for name, value in settings.items():
        option, _, condition = name.partition(" ")
        found.append(f"`{option}={spelled(value)}` {condition}".rstrip())
    return ", ".join(found) or "the defaults"


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _example(loss: Loss) -> str:
    """A command on the sample data that fits the loss."""
    options = [f"{name}={number:g}" for name, number in loss.required.items()]
    if SIGN_LABEL in (loss.target, *(facts.get("target") for facts in loss.variants.get("labels", {}).values())):
        options.append("labels=01")
    spec = ":".join([loss.name, *([",".join(options)] if options else [])])
    predictions, targets = _example_data(loss)
    return f"lossctl eval sample_data/{predictions}.npy sample_data/{targets}.npy --loss {spec}"


def _example_data(loss: Loss) -> tuple[str, str]:
    """The sample data that a loss takes: arrays of predictions and of targets."""
    domain = next(iter(loss.forms.values())).prediction
    has_scores = domain in (REAL, LOGIT)
    if not loss.has_gradient and loss.scope is Scope.ELEMENT:
        return "multiclass/labels", "multiclass/labels"
    if loss.target_kind is TargetKind.INDEX:
        return "multiclass/logits" if has_scores else "multiclass/preds", "multiclass/labels"
    if loss.target_kind is TargetKind.DISTRIBUTION or (loss.scope is Scope.ROW and domain is not REAL):
        return "multiclass/logits" if has_scores else "multiclass/preds", "multiclass/onehot"
    if loss.scope is Scope.ROW:
        return "vectors/preds", "vectors/targets"
    if loss.target.high == 1.0:
        return "binary/logits" if has_scores else "binary/preds", "binary/labels"
    return "regression/preds", "regression/targets"


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, tuple("---" for _ in titles), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    main()
