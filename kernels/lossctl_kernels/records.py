"""Records: classes that are named values, written like data classes, and hardly cost the start of a process anything.

`dataclasses` writes the methods of every class as source and compiles them: for the forty records of a small evaluation
that takes a third of the time of importing NumPy. Here the methods are written once, and inherited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import Field

Value = TypeVar("Value")
AnyRecord = TypeVar("AnyRecord", bound="Record")


class _Field(NamedTuple):
    make: Callable[[], Any] | None
    default: Any
    compare: bool


class _Shape(NamedTuple):
    """What is known of a class of records: the names of its fields, of those that `==` compares, and the defaults."""

    names: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = {}
    factories: Mapping[str, Callable[[], Any]] = {}

    def extended(self, own: list[str], given: Mapping[str, Any]) -> _Shape:
        """The shape of a subclass, by the names of its own fields and what they are set to."""
        fields = {name: each for name, each in given.items() if isinstance(each, _Field)}
        factories = {name: each.make for name, each in fields.items() if each.make is not None}
        defaults = {**given, **{name: each.default for name, each in fields.items()}}
        return _Shape(
            (*self.names, *own),
            (*self.compared, *(name for name in own if name not in fields or fields[name].compare)),
            {**self.defaults, **{name: each for name, each in defaults.items() if name not in factories}},
            {**self.factories, **factories},
        )


def field(
    *, default: Value | None = None, default_factory: Callable[[], Value] | None = None, compare: bool = True
) -> Value:
    """A default that says more: what makes one for each record, such as `dict`; that it does not count in `==`."""
    return cast("Value", _Field(default_factory, default, compare))


class _Fields:
    """The fields as `dataclasses` describes them: made for those who ask, since that is what takes time."""

    def __get__(self, record: Record | None, kind: type[Record]) -> dict[str, Field[Any]]:
        from dataclasses import fields, make_dataclass

        described: Any = make_dataclass(kind.__name__, kind.__shape__.names)
        return {each.name: each for each in fields(described)}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """The base of records: the annotations of a subclass are its fields, and what they are set to are their defaults.

    Records of one class are equal where all their fields are. They are frozen, and hashable where their fields are,
    unless the class says `frozen=False`; `kw_only=True` takes fields by name alone. `__post_init__` sees the record
    when its fields are set. All as in a data class, which `dataclasses` takes it for.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]] = _Fields()  # type: ignore[assignment]
    __match_args__: ClassVar[tuple[str, ...]] = ()
    __shape__: ClassVar[_Shape] = _Shape()

    def __init_subclass__(cls, *, frozen: bool = True, kw_only: bool = False) -> None:
        super().__init_subclass__()
        own = [name for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar")]
        given = {name: cls.__dict__[name] for name in own if name in cls.__dict__}
        for name, default in given.items():
            if isinstance(default, _Field):
                delattr(cls, name)
        cls.__shape__ = cls.__shape__.extended(own, given)
        cls.__match_args__ = () if kw_only else (*cls.__match_args__, *own)  # type: ignore[misc]
        if not frozen:
            changeable: Any = cls
            changeable.__setattr__, changeable.__delattr__, changeable.__hash__ = _SET, _DELETE, None

    def __init__(self, *values: Any, **named: Any) -> None:
        given = dict(zip(self.__match_args__, values, strict=False)) | named
        if len(given) != len(values) + len(named):
            raise TypeError(f"{type(self).__name__} is given too many values, or one of them twice")
        shape = self.__shape__
        made = {name: make() for name, make in shape.factories.items() if name not in given}
        state = {**shape.defaults, **made, **given}
        if len(state) != len(shape.names) or not all(map(state.__contains__, shape.names)):
            wrong = ", ".join(sorted(state.keys() ^ set(shape.names)))
            raise TypeError(f"{type(self).__name__} has other fields, or is not given all of them: {wrong}")
        self.__dict__.update(state)
        self.__post_init__()

    def __post_init__(self) -> None:
        """For subclasses that check their fields."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change: its {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change: its {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        fields = (f"{name}={getattr(self, name)!r}" for name in self.__shape__.names)
        return f"{type(self).__qualname__}({', '.join(fields)})"


_SET, _DELETE = object.__setattr__, object.__delattr__


def field_names(kind: type[Record]) -> tuple[str, ...]:
    """The names of the fields, in order."""
    return kind.__shape__.names


def replace(record: AnyRecord, /, **changes: Any) -> AnyRecord:
    """A record with these fields changed and the others as they are."""
    return type(record)(**{name: getattr(record, name) for name in record.__shape__.names} | changes)


def _values(record: Any) -> tuple[Any, ...]:
    return tuple([getattr(record, name) for name in record.__shape__.compared])
