"""`lossctl schema`."""

from __future__ import annotations

import json

from lossctl.schemas import names, schema
from tests.cli.commands import call, process, refused


def test_a_schema_is_printed_as_it_is_shipped() -> None:
    for name, title in names().items():
        for spelling in (name, title):
            outcome = call("schema", spelling)
            assert (outcome.code, outcome.err) == (0, "")
            assert json.loads(outcome.out) == schema(name)


def test_without_a_name_the_names_are_printed() -> None:
    lines = call("schema").out.splitlines()
    assert lines[0] == "name\tschema"
    assert "result\tlossctl.result/1" in lines


def test_an_unknown_schema_is_refused() -> None:
    assert "there is no schema 'resutl'; the schemas are" in refused(2, "schema", "resutl")


def test_it_costs_no_start_of_numpy() -> None:
    code = "import sys, lossctl.__main__ as m; m.run(['schema', 'result']); sys.exit('numpy' in sys.modules)"
    from subprocess import run
    from sys import executable

    assert run([executable, "-c", code], check=False, capture_output=True).returncode == 0
    assert process("schema", "result").returncode == 0
