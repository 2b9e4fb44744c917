"""JSON Schemas of the documents that lossctl writes, one file each: what `schema` prints.

A new document is a new file here, NAME.json, whose title is what the document's own `schema` says.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from lossctl.errors import UsageError, visible


@cache
def names() -> dict[str, str]:
    """The schemas by name, each with its title: {"result": "lossctl.result/1"}."""
    found = sorted(file.name for file in files(__name__).iterdir() if file.name.endswith(".json"))
    return {name.removesuffix(".json"): json.loads(_read(name))["title"] for name in found}


def schema(name: str) -> dict[str, Any]:
    """A schema by its name or by its title. Raises UsageError for one that does not exist."""
    document: dict[str, Any] = json.loads(text(name))
    return document


def text(name: str) -> str:
    """A schema as it is shipped."""
    known = names()
    found = next((key for key, title in known.items() if name in (key, title)), None)
    if found is None:
        raise UsageError(f"there is no schema '{visible(name)}'", hint=f"the schemas are {', '.join(known)}")
    return _read(f"{found}.json")


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
