"""What can go wrong, and with which exit code it ends.

Every error that a user can cause is a `LossctlError`: one line that says what is wrong, where, what was found and what
was allowed, and a hint that says what to do next. The command line prints both in one line on stderr and exits with
`exit_code`; the Python API raises the same objects.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ClassVar


class LossctlError(Exception):
    """Base of every error that lossctl raises on purpose.

    `message` is one line without a final full stop; `hint` is what to do next, or None.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(_sentence(message, hint))
        self.message = message
        self.hint = hint

    def reword(self, words: Callable[[str], str]) -> None:
        """Has message and hint in other words."""
        self.message, self.hint = words(self.message), self.hint and words(self.hint)
        self.args = (_sentence(self.message, self.hint),)


def _sentence(message: str, hint: str | None) -> str:
    joint = " " if message.endswith("?") else "; "
    return f"{message}{joint}{hint}" if hint else message


class CheckFailed(LossctlError):
    """What was asked to be checked does not hold: the work is done, and its answer is no, as that of a failed gate."""

    exit_code = 1


class Undecided(LossctlError):
    """A gate has no answer: what was measured is too uncertain, and the command asked to say so."""

    exit_code = 5


class UsageError(LossctlError, ValueError):
    """The request contradicts itself or names something that does not exist: a loss, an option, a flag, a column."""

    exit_code = 2


class DataError(LossctlError, ValueError):
    """The input is missing, unreadable, malformed, misaligned or out of its domain, or has no computable result."""

    exit_code = 3


class EnvironmentFault(LossctlError, OSError):
    """The machine refuses: no permission, a full disk, a failed write, a missing backend or extra."""

    exit_code = 4


class LossctlWarning(UserWarning):
    """What the Python API warns of, which the command line says on stderr: data that look like something else, rows
    that were left out.
    """


def reason_of(error: BaseException) -> str:
    """What the system says is wrong, as it stands within a message: "no space left on device"."""
    text = visible(getattr(error, "strerror", None) or error)
    return text[:1].lower() + text[1:]


def visible(text: object, limit: int = 120) -> str:
    """`text` on one line, control characters and escapes made visible, at most `limit` characters.

    File names, cells and arguments go through here before they are quoted in a message: what a file holds must not
    speak to the terminal or to a CI host.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
