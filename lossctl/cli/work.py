"""What commands do with their options before and around an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from lossctl.cli.options import preset_list
from lossctl.errors import UsageError, visible

if TYPE_CHECKING:
    from lossctl.catalogue.loss_spec import LossSpec
    from lossctl.evaluation import Evaluation
    from lossctl.requests import Request
    from lossctl.rows.inputs import InputFiles


def known_losses(texts: Sequence[str] | None) -> list[LossSpec]:
    """The SPECs, taken apart. Raises UsageError for a loss that does not exist, before any file is opened."""
    from lossctl.catalogue.loss_spec import find, parse

    specs = [parse(text) for text in texts or []]
    for spec in specs:
        find(spec.name)
    return specs


def _under_presets(specs: Sequence[LossSpec], presets: Sequence[str]) -> list[LossSpec]:
    """Each SPEC under each of several presets, which it names from then on. Raises UsageError where it named one."""
    from lossctl.catalogue.loss_spec import LossSpec

    found = []
    for spec in specs:
        if "preset" in spec.options:
            raise UsageError(
                f"loss '{visible(spec.text)}' says preset={visible(spec.options['preset'])}, "
                f"but the command says preset={visible(','.join(presets))}",
                hint="leave out one of them",
            )
        for preset in presets:
            text = f"{spec.text}{',' if ':' in spec.text else ':'}preset={preset}"
            found.append(LossSpec(text, spec.name, {**spec.options, "preset": preset}))
    return found


def whole_inputs_of(files: InputFiles, specs: Sequence[LossSpec]) -> set[str]:
    """The further arrays that are not in step with the rows. Raises UsageError for one too many, or one too few."""
    from lossctl.rows.further_inputs import check_names, whole_inputs

    check_names(specs, files.input_names)
    return whole_inputs(specs, files.input_names)


def losses_under(texts: Sequence[str] | None, preset: str | None) -> tuple[list[LossSpec], str | None]:
    """(the SPECs, each under every preset where there are several; the preset of all, None where each names its own).

    Raises UsageError as `known_losses`, and for a SPEC that names a preset where there are several.
    """
    specs = known_losses(texts)
    presets = preset_list(preset)
    return (_under_presets(specs, presets), None) if len(presets) > 1 else (specs, preset)


@contextmanager
def evaluating(files: InputFiles, request: Request, show_progress: bool) -> Iterator[Evaluation]:
    """An evaluation of the opened files, with its progress bar; both are gone afterwards."""
    from lossctl.cli.progress import Progress
    from lossctl.rows.inputs import open_feed

    with closing(open_feed(files, whole_inputs_of(files, request.specs))) as feed:
        feed.begin()  # while the rest is loaded
        from lossctl.evaluation import Evaluation

        with Progress(feed.rows, show_progress) as progress:
            yield Evaluation(feed, request, progress)
