"""`lossctl explain`: one loss, whole."""

from __future__ import annotations

from typing import Annotated, Any

from lossctl.cli import options as o
from lossctl.cli.declarations import Argument, Option

HELP = """One loss: formula, gradient, domain, options, its names and conventions elsewhere.

Example: lossctl explain huber
"""

LossName = Annotated[str, Argument(metavar="NAME", help="A loss, by any of its names.")]
Json = Annotated[bool, Option("--json", help="As JSON.")]


def command(name: LossName, json: Json = False, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.loss_spec import parse
    from lossctl.reference import describe

    found = describe(parse(name).name)
    if json:
        import json as json_format

        print(json_format.dumps(found if len(found) > 1 else found[0], indent=2, ensure_ascii=False))
        return
    if len(found) > 1:
        print(f"{name} is decided by the shape of the data: {', '.join(loss['name'] for loss in found)}.\n")
    print("\n\n".join(_text(loss) for loss in found))


def _text(loss: dict[str, Any]) -> str:
    lines = [loss["name"], "", *loss["description"].splitlines(), ""]
    lines += [f"loss      {loss['formula']}", f"gradient  {loss['gradient']}"]
    lines += [f"unit      {loss['unit']}", f"one of    {loss['of']}", ""]
    lines += ["predictions"] + [f"  {name:<10}{domain}" for name, domain in loss["predictions"].items()]
    lines += ["targets", f"  {loss['targets']}", "", "options"]
    width = max(len(option["name"]) for option in loss["options"]) + 2
    for option in loss["options"]:
        lines.append(f"  {option['name']:<{width}}{option['meaning']}")
        lines.append(f"  {'':<{width}}default {option['default']}; {option['allowed']}")
    if loss["names"]:
        lines += ["", "names elsewhere"]
        lines += [f"  {peer:<14}{', '.join(names)}" for peer, names in loss["names"].items()]
    if loss["presets"]:
        lines += ["", "presets"]
        for peer, settings in loss["presets"].items():
            spelled = ", ".join(f"{option}={value}" for option, value in settings.items())
            lines.append(f"  {peer:<14}{spelled or 'the defaults'}")
    if loss["source"]:
        lines += ["", f"source    {loss['source']}"]
    return "\n".join([*lines, "", f"example   {loss['example']}"])
