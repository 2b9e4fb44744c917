"""Families of losses are loaded when a loss of them is asked for, and each is whole by then."""

from __future__ import annotations

import json
import subprocess
import sys

from lossctl_kernels import LOSSES

# A loss as it was found, with all that its definitions are made of, against the same one when all families are loaded.
FOUND_AND_LATER = """
import json, sys
from lossctl_kernels.losses import find_loss, load_all
from lossctl_kernels.spec import LOSSES

names = json.loads(sys.argv[1])
found = {name: repr(find_loss(name)) for name in names}
load_all()
print(json.dumps({"changed": [name for name in names if repr(LOSSES[name]) != found[name]], "order": list(LOSSES)}))
"""
LOADED = """
import sys
from lossctl_kernels.losses import find_loss

assert find_loss(sys.argv[1]) is not None
print(*(name for name in sys.modules if name.startswith("lossctl_kernels.losses.")))
"""
IN_AN_OWN_REGISTRY = """
from lossctl_kernels.losses import find_loss
from lossctl_kernels.spec import LOSSES, registering

own = {}
with registering(own):
    find_loss("bce")
print(not own and "bce" in LOSSES)
"""


def run(code: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout


def test_a_loss_is_whole_when_it_is_found() -> None:
    told = json.loads(run(FOUND_AND_LATER, json.dumps(list(LOSSES))))
    assert told == {"changed": [], "order": list(LOSSES)}


def test_a_definition_says_in_its_repr_what_it_is_made_of() -> None:
    """Or the test above could not fail."""
    said = repr(LOSSES["cce"])
    assert "cce_from_logits_gradient" in said
    assert "log_prob" in said


def test_what_most_processes_ask_for_loads_little() -> None:
    assert set(run(LOADED, "mse").split()) == {"lossctl_kernels.losses.parts", "lossctl_kernels.losses.regression"}
    assert "lossctl_kernels.losses.sequence" in run(LOADED, "ctc").split()


def test_families_that_a_file_of_own_losses_loads_stay_built_in() -> None:
    assert run(IN_AN_OWN_REGISTRY).strip() == "True"
