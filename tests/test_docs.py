"""The documentation: what it shows is what comes out, its examples run, its links lead somewhere."""

from __future__ import annotations

import doctest
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.make import CONSOLE, DOCUMENTS, ROOT, current, printed, reference, session, with_sample_data
from docs.pages import INDEX, PAGES, pages
from lossctl.catalogue import loss_spec
from lossctl_kernels import LOSSES

PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
FIGURE = re.compile(r"\d[\d.,]* (?:×|%|MB|GB/s)")
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)")
LOSS_PAGES = [PAGES / f"{loss}.md" for loss in LOSSES]
LINKING = [*DOCUMENTS, *LOSS_PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "sample_data" / "README.md"]


def read(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


with_commands = [document for document in DOCUMENTS if document != INDEX and CONSOLE.search(read(document))]
with_python = [document for document in DOCUMENTS if PYTHON.search(read(document))]


@pytest.mark.parametrize("document", with_commands, ids=name)
def test_commands_print_what_is_shown(document: Path) -> None:
    assert current(document) == read(document), "run scripts/docs, and look at what it changes"


@pytest.mark.parametrize("document", [INDEX, *LOSS_PAGES], ids=name)
def test_the_reference_says_what_the_code_says(document: Path) -> None:
    """The text is what the registry makes of it now, and the example prints what is shown."""
    assert document.exists(), "run scripts/docs, which writes the page of a new loss"
    assert current(document) == read(document), "run scripts/docs, and look at what it changes"


def test_every_loss_has_a_page_with_an_example_and_no_page_has_no_loss() -> None:
    assert {*reference()} == {INDEX, *LOSS_PAGES}
    assert {*PAGES.glob("*.md")} == {*LOSS_PAGES}
    for loss in LOSSES:
        text = reference()[PAGES / f"{loss}.md"]
        assert f"# {loss}\n" in text
        assert f"--loss {loss}" in text
        assert f"(losses/{loss}.md)" in reference()[INDEX]


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an example registers is gone afterwards."""
    losses = dict(LOSSES)
    loss_spec.names.cache_clear()
    yield
    LOSSES.clear()
    LOSSES.update(losses)
    loss_spec.names.cache_clear()


def run_python(blocks: list[str], source: str) -> str:
    """Runs blocks one after the other, doctests among them; returns the report of those that failed."""
    names: dict[str, Any] = {"__name__": "example"}
    report: list[str] = []
    for block in blocks:
        if ">>> " not in block:
            exec(compile(block, source, "exec", dont_inherit=True), names)
            continue
        test = doctest.DocTestParser().get_doctest(block, names, source, None, 0)
        doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
        names = test.globs
    return "".join(report)


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize("document", with_python, ids=name)
def test_python_examples_give_what_is_shown(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(with_sample_data(tmp_path))
    assert run_python(PYTHON.findall(read(document)), name(document)) == ""


@pytest.mark.parametrize("document", [document for document in LINKING if SHELL.search(read(document))], ids=name)
def test_shell_blocks_are_shell(document: Path) -> None:
    for block in SHELL.findall(read(document)):
        subprocess.run(["bash", "-n", "-c", block], check=True, capture_output=True)


def anchors(document: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", read(document)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    """The links of a document to files or headings that do not exist."""
    broken = []
    for link in LINK.findall(FENCED.sub("", read(document))):
        path, _, anchor = link.partition("#")
        target = document if not path else document.parent / path
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", LINKING, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    assert broken_links(document) == []


def test_readme_names_every_loss_and_document() -> None:
    readme = read(ROOT / "README.md")
    assert [loss for loss in LOSSES if f"`{loss}`" not in readme] == []
    assert [name(path) for path in DOCUMENTS[1:] if f"({name(path)})" not in readme] == []


# ---- the helpers, which must be able to fail


def test_session_replaces_what_a_command_printed() -> None:
    shown = "$ echo one \\\n>     two\nstale\n$ printf '\"seconds\": 0.25\\n'\nstale\n"
    expected = '$ echo one \\\n>     two\none two\n$ printf \'"seconds": 0.25\\n\'\n"seconds": 0.004\n'
    assert "".join(session(shown, ROOT)) == expected


def test_a_command_that_fails_is_not_shown_as_if_it_had_not() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        printed("lossctl --no-such-option | cat", ROOT)


def test_a_wrong_python_example_is_reported() -> None:
    assert "Expected:\n    2\nGot:\n    3" in run_python(["x = 1\n", ">>> x + 2\n2\n"], "example")
    assert run_python(["x = 1\n", ">>> y = x\n", ">>> y + 2\n3\n"], "example") == ""


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "# A b\n[1](#a-b) [2](#c) [3](a.md) [4](b.md) [5](https://x)\n```\n[6](d)\n```\n", encoding="utf-8"
    )
    assert broken_links(document) == ["#c", "b.md"]


def test_a_change_of_the_code_is_seen_in_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference()[PAGES / "huber.md"]  # which is kept for all tests: made before anything is changed
    monkeypatch.setattr(LOSSES["huber"], "formula", "another formula")
    page = pages()[PAGES / "huber.md"]
    assert page != before
    assert "- Loss: `another formula`" in page


def test_pages_have_no_facts_of_the_moment() -> None:
    assert pages() == reference()


def test_figures_of_speed_are_those_of_the_last_run_of_the_benchmarks() -> None:
    speed = read(ROOT / "README.md").split("\n## Speed\n")[1].split("\n## ")[0]
    page = read(ROOT / "docs" / "benchmarks.md")
    printed_there = {*FIGURE.findall(page), *re.findall(r"(?<=\| )\d[\d.,]*(?= \|)", page)}
    figures = FIGURE.findall(speed)
    assert len(figures) > 50
    assert not [each for each in figures if not {each, each.partition(" ")[0]} & printed_there]
