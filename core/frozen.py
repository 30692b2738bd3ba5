# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses at a fraction of the cost, for the modules that a plain command imports.

The module ``dataclasses`` takes about as long to import as bare Python to start, and
then compiles several functions for each class. The classes made here behave alike
(a test compares them), and ``dataclasses.replace`` and its neighbours work with them.
Type checkers see the original.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import Field, dataclass, field
    from typing import Any, ClassVar, NoReturn, TypeVar

    Class = TypeVar("Class", bound=type)

__all__ = ["dataclass", "field"]


class _FieldsOnDemand:
    """What the module ``dataclasses`` looks for in a class, made when it does."""

    def __get__(self, value: object, cls: type[_Frozen]) -> dict[str, Field[Any]]:
        import dataclasses  # noqa: PLC0415 - what this module is there to avoid

        fields = []
        for name in cls.__match_args__:
            default: Any = cls._defaults.get(name, dataclasses.MISSING)
            made: Field[Any] = dataclasses.field(
                default=default, repr=name in cls._shown, compare=name in cls._compared
            )
            fields.append((name, cls.__annotations__[name], made))
        twin: Any = dataclasses.make_dataclass(cls.__name__, fields)
        return dict(twin.__dataclass_fields__)


class _Frozen:
    """What all classes made here have in common."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]]
    __dataclass_fields__ = _FieldsOnDemand()
    _defaults: ClassVar[Mapping[str, object]]
    _shown: ClassVar[tuple[str, ...]]
    _compared: ClassVar[tuple[str, ...]]
    _key: ClassVar[attrgetter[Any]]
    _setters: ClassVar[tuple[Callable[[object, object], None], ...]]

    def __init__(self, *given: object, **named: object) -> None:
        if named or len(given) != len(self._setters):
            given = self._complete(given, named)
        for put, value in zip(self._setters, given, strict=True):
            put(self, value)
        self.__post_init__()

    @classmethod
    def _complete(cls, given: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
        """The values of all fields, in their order."""
        rest = cls.__match_args__[len(given) :]
        values = {**cls._defaults, **named}
        if len(given) > len(cls._setters) or not named.keys() <= set(rest) <= values.keys():
            raise TypeError(f"{cls.__qualname__} takes {', '.join(cls.__match_args__)}")
        return (*given, *(values[name] for name in rest))

    def __post_init__(self) -> None:
        """Check the values, in classes that have something to check."""

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete field {name!r}")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self, other: object) -> bool:
        return self._key(self) == self._key(other) if self._is_like(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key(self))

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), tuple(getattr(self, name) for name in self.__match_args__)

    def _is_like(self, other: object) -> bool:
        return type(other) is type(self)


class _FrozenInOrder(_Frozen):
    """What classes with ``order=True`` have as well."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return self._key(self) < self._key(other) if self._is_like(other) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._key(self) <= self._key(other) if self._is_like(other) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._key(self) > self._key(other) if self._is_like(other) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._key(self) >= self._key(other) if self._is_like(other) else NotImplemented


class _Field:
    """A field without default that is not shown, or not compared."""

    def __init__(self, *, repr: bool = True, compare: bool = True) -> None:  # noqa: A002
        self.shown = repr
        self.compared = compare


def _dataclass(*, frozen: bool, slots: bool, order: bool = False) -> Callable[[Class], Class]:
    """Make a frozen dataclass with slots of a class that has no bases."""
    if not (frozen and slots):
        raise TypeError("the module dataclasses makes those that are not frozen, with slots")
    base = _FrozenInOrder if order else _Frozen
    return lambda cls: _remade(cls, base)


def _remade(cls: Class, base: type[_Frozen]) -> Class:
    """The class again: slots can't be added to one that is there."""
    kinds = cls.__annotations__
    names = tuple(name for name in kinds if not kinds[name].startswith("ClassVar["))
    body = {key: value for key, value in vars(cls).items() if key not in _NOT_COPIED}
    given = {name: body.pop(name) for name in names if name in body}
    special = {name: value for name, value in given.items() if isinstance(value, _Field)}
    compared = tuple(n for n in names if n not in special or special[n].compared)
    body.update(
        __qualname__=cls.__qualname__,
        __annotations__=kinds,
        __slots__=names,
        __match_args__=names,
        _defaults={name: given[name] for name in given if name not in special},
        _shown=tuple(n for n in names if n not in special or special[n].shown),
        _compared=compared,
        _key=attrgetter(*compared),
    )
    made: Any = type(cls)(cls.__name__, (base,), body)
    made._setters = tuple(vars(made)[name].__set__ for name in names)
    return made  # type: ignore[no-any-return]


_NOT_COPIED = ("__dict__", "__weakref__")

if not TYPE_CHECKING:
    dataclass, field = _dataclass, _Field
