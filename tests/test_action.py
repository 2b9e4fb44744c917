"""The GitHub Action and the pre-commit hook, as far as they can be run without their hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
INSTALL, RUN = ACTION["runs"]["steps"]
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
FILES = f"{ROOT}/sample_data/binary/preds.npy {ROOT}/sample_data/binary/labels.npy"


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """The temporary folder of a runner, with an installation that is this Python."""
    programs = tmp_path / "lossctl" / "bin"
    programs.mkdir(parents=True)
    for name, words in {"python": "", "lossctl": "-m lossctl "}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n', encoding="utf-8")
        program.chmod(0o755)
    for name in ("summary", "output"):
        (tmp_path / name).touch()
    return tmp_path


def step(
    script: str, runner: Path, environment: Mapping[str, str], shell: Sequence[str] = BASH
) -> subprocess.CompletedProcess[str]:
    """Runs a step as the host does."""
    host = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(runner / "summary"),
        "GITHUB_OUTPUT": str(runner / "output"),
        "RUNNER_TEMP": str(runner),
    }
    command = [*shell, "-c", script]
    given = {**os.environ, **host, **environment}
    return subprocess.run(command, env=given, cwd=runner, check=False, capture_output=True, text=True)


def outputs(runner: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (runner / "output").read_text().splitlines())


def arguments(text: str) -> dict[str, str]:
    return {"COMMAND": ACTION["inputs"]["command"]["default"], "ARGUMENTS": text}


def test_the_action_is_what_the_host_reads() -> None:
    assert {"name", "description", "inputs", "outputs", "runs"} <= ACTION.keys()
    assert ACTION["runs"]["using"] == "composite"
    for each in ACTION["runs"]["steps"]:
        assert each["shell"] == "bash"
        # An expression in a script would run whatever is in it: values come by the environment alone.
        assert "${{" not in each["run"]
    used = {value for each in ACTION["runs"]["steps"] for value in each["env"].values()}
    assert {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]} < used
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.{RUN['id']}.outputs.{name} }}}}"


def test_a_result_is_in_the_summary_in_the_outputs_and_in_the_log(runner: Path) -> None:
    done = step(RUN["run"], runner, arguments(f"{FILES}\n  --loss bce\n  -o 'with space.json'"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("::notice file=")
    assert "| `bce` | 0.0798641 |" in (runner / "summary").read_text()
    found = outputs(runner)
    assert {name: found[name] for name in ("status", "bce", "exit-code")} == {
        "status": "ok",
        "bce": "0.07986406447001733",
        "exit-code": "0",
    }
    written = json.loads((runner / "with space.json").read_bytes())
    assert json.loads(found["result"])["results"] == written["results"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{FILES} --loss no_such_loss", 2),
        (f"missing.npy {FILES.split()[1]} --loss bce", 3),
        (f"{FILES} --loss $(touch${{IFS}}run) `touch run`", 2),
        (f"{FILES} --loss 'bce", 2),
    ],
)
def test_the_step_ends_as_lossctl_does_and_nothing_in_the_words_is_run(text: str, code: int, runner: Path) -> None:
    done = step(RUN["run"], runner, arguments(text))
    assert done.returncode == code
    assert not (runner / "run").exists()
    assert outputs(runner)["exit-code"] == str(code)
    assert "Traceback" not in done.stderr


# What the program is given, a word a line.
PROGRAM = """#!/bin/sh
printf '<%s>\\n' "$@"
"""


@pytest.mark.parametrize("shell", [BASH, ("sh", "-e")], ids=["bash", "an older shell"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("p.npy  y.npy\n\n-l mse", ["p.npy", "y.npy", "-l", "mse"]),
        ("'a b' \"c'd\" e\\ f ''", ["a b", "c'd", "e f", ""]),
        ("'two\nlines' $HOME * ~ #", ["two\nlines", "$HOME", "*", "~", "#"]),
        ("-c é", ["-c", "é"]),
    ],
)
def test_the_words_are_those_that_were_quoted(text: str, words: list[str], shell: Sequence[str], runner: Path) -> None:
    (runner / "lossctl" / "bin" / "lossctl").write_text(PROGRAM, encoding="utf-8")
    done = step(RUN["run"], runner, arguments(text), shell)
    hosts = ["--output", str(runner / "summary"), "--output", str(runner / "output")]
    given = ["eval", "--format", "github", *words, *hosts]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(f"<{word}>\n" for word in given)


def test_no_file_of_the_checkout_is_taken_for_a_module(runner: Path) -> None:
    for name in ("shlex", "os", "lossctl"):
        (runner / f"{name}.py").write_text("raise SystemExit('not this one')")
    (runner / "lossctl" / "bin" / "lossctl").write_text(PROGRAM, encoding="utf-8")
    assert step(RUN["run"], runner, arguments("p.npy")).returncode == 0


def test_a_host_without_summaries(runner: Path) -> None:
    done = step(RUN["run"], runner, {**arguments(f"{FILES} --loss bce"), "GITHUB_STEP_SUMMARY": ""})
    assert (done.returncode, done.stderr) == (0, "")
    assert outputs(runner)["status"] == "ok"


@pytest.mark.parametrize(("extras", "installed"), [("", "/the action"), ("junit,s3", "/the action[junit,s3]")])
def test_what_is_installed_is_the_action_itself(extras: str, installed: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    # A Python that makes a virtual environment whose pip only says what it was asked for.
    python.write_text(
        '#!/bin/sh\ntest "$1 $2" = "-m venv" && mkdir -p "$3/bin" && ln -s /bin/echo "$3/bin/pip"\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    done = step(INSTALL["run"], tmp_path, {"PYTHON": str(python), "EXTRAS": extras, "SOURCE": "/the action"})
    assert (done.returncode, done.stdout) == (0, f"install --quiet --disable-pip-version-check {installed}\n")


def test_the_hook_runs_lossctl() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {"id", "name", "entry", "language"} <= hook.keys()
    assert hook["language"] == "python"
    assert hook["pass_filenames"] is False
    scripts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\n{hook["entry"]} = "lossctl.__main__:main"\n' in scripts
