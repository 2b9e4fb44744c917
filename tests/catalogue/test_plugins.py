"""Losses of installed packages: a folder with a dist-info on the path is one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lossctl
from lossctl.catalogue import plugins
from lossctl.catalogue.plugins import every_plugin, find_plugin, plugin_names
from lossctl.errors import UsageError
from tests.cli.commands import call
from tests.own_files import ASYMMETRIC, DECORATED

Install = Callable[[str, dict[str, str], dict[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes a package, of modules and entry points, that Python takes for installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def package(name: str, modules: dict[str, str], entries: dict[str, str]) -> None:
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)
            made.append(module)
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{key} = {value}\n" for key, value in entries.items())
        (folder / "entry_points.txt").write_text(f"[lossctl.losses]\n{lines}")

    yield package
    for module in made:
        sys.modules.pop(module, None)
    plugins._losses.clear()
    plugins._registries.clear()


@pytest.fixture
def acme(install: Install) -> None:
    """A package with a plain and a decorated loss."""
    modules = {"acme_plain": ASYMMETRIC, "acme_decorated": DECORATED}
    install("acme", modules, {"steep": "acme_plain:asymmetric", "distance": "acme_decorated:distance"})


@pytest.mark.usefixtures("acme")
def test_losses_of_a_package_are_found_by_name() -> None:
    assert lossctl.evaluate([3.0], [1.0], "steep:steepness=3").value == 12.0
    result = lossctl.evaluate([[3.0, 4.0]], [[0.0, 0.0]], "distance", backend="cpu")
    assert (result.value, result.loss) == (5.0, "distance")
    assert "|source=" in result.signature
    assert lossctl.gradient([3.0], [1.0], "steep").tolist() == [8.0]
    loss = find_plugin("steep")
    assert loss is not None
    assert loss.origin == "the loss steep of acme"


@pytest.mark.usefixtures("acme")
def test_nothing_is_imported_before_it_is_asked_for() -> None:
    assert plugin_names() == ["steep", "distance"]
    lossctl.evaluate([3.0], [1.0], "mse")
    assert {"acme_plain", "acme_decorated"} & set(sys.modules) == set()
    lossctl.evaluate([3.0], [1.0], "steep")
    assert "acme_plain" in sys.modules
    assert "acme_decorated" not in sys.modules


@pytest.mark.usefixtures("acme")
def test_commands_know_them() -> None:
    rows = json.loads(call("list", "--format", "json").out)
    assert [row["name"] for row in rows][-2:] == ["steep", "distance"]
    assert call("explain", "steep").out.startswith("steep\n")
    with pytest.raises(UsageError, match="did you mean steep"):
        lossctl.evaluate([3.0], [1.0], "step_")
    assert "distance" not in lossctl.losses()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module\n", "ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("def other(prediction): return prediction\n", "AttributeError"),
        ("f = 3\n", "f is not a plain function: found int"),
        ("def f(y_pred): return y_pred\n", "call it prediction"),
        ("def f(prediction): return 1 if prediction > 0 else 2\n", "line 1"),
        ("def f(\n", "SyntaxError"),
    ],
)
def test_a_broken_package_is_one_warning_and_one_error(install: Install, text: str, says: str) -> None:
    install("broken", {"broken_losses": text}, {"f": "broken_losses:f"})
    outcome = call("list")
    assert outcome.code == 0
    assert outcome.err.startswith("lossctl: warning: the loss f of broken cannot be loaded: ")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1
    asked = call("explain", "f")
    assert asked.code == 2
    assert asked.err.startswith("lossctl: the loss f of broken cannot be loaded: ")
    assert call("explain", "mse").code == 0


def test_a_built_in_loss_keeps_its_name(install: Install) -> None:
    install("shadow", {"shadow_losses": ASYMMETRIC}, {"mse": "shadow_losses:plain"})
    assert lossctl.evaluate([3.0], [1.0], "mse").value == 4.0
    losses, faults = every_plugin()
    assert losses == []
    assert faults == ["the loss mse of shadow is not used: there is a built-in loss of that name"]


def test_a_package_that_is_not_there() -> None:
    assert find_plugin("nothing_of_this_name") is None
