"""Reader of plain command lines, with which commands for files begin at once.

Cyclopts, which reads all others, takes longer to import than such a command takes for a file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, Flag
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pacs_core.cli.option import Option

# Theory of operation
#
# What is bound here is what Cyclopts would bind: a test compares them. Whatever is not plain is
# declined, and Cyclopts reads the line from its beginning: help, mistakes and their messages,
# options in groups of letters, values that begin like an option, None or JSON, other annotations
# than those of `pacs_core.cli.option`, and other types than those below. So nothing is said here,
# and there is nothing to be wrong about but what a plain line means.

_UNUSUAL: Final = 0x08 | 0x20 | 0x80 | 0x200
"""Flags of code: ``**keywords``, generators, coroutines (``inspect.CO_*``)."""

_TAKES_REST: Final = 0x04
"""Flag of code that has ``*arguments``."""

_MOST_DIGITS: Final = 15


class NotPlainError(Exception):
    """The command line is for Cyclopts to read."""


def read_plain_line(
    function: Callable[..., Any], arguments: Sequence[str]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments that a command line stands for.

    Parameters
    ----------
    function : callable
        The command.
    arguments : sequence of str
        What is typed after its name.

    Raises
    ------
    NotPlainError
        It is not plain.
    """
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & _UNUSUAL or code.co_argcount != code.co_posonlyargcount:
        raise NotPlainError
    if function.__dict__:  # a decorator's, or for whoever else reads signatures
        raise NotPlainError
    names, hints, count = code.co_varnames, function.__annotations__, code.co_argcount
    keyword_only = names[count : count + code.co_kwonlyargcount]
    options = _Options(hints, keyword_only)
    words, together = options.sort(arguments)
    places = [_Parameter(hints.get(name), name) for name in names[:count]]
    if code.co_flags & _TAKES_REST:
        name = names[count + len(keyword_only)]
        places += [_Parameter(hints.get(name), name) for _ in words[count:]]
    required = count - len(function.__defaults__ or ())
    return _bind_words(places, words, required, together), options.bind(function.__kwdefaults__)


class _Parameter:
    """A parameter of a command, or a field of a class of options, and what is typed for it."""

    def __init__(self, hint: Any, name: str) -> None:
        self.names: tuple[str, ...] = ("--" + name.strip("_").replace("_", "-").lower(),)
        self._validators: list[Callable[[Any, Any], None]] = []
        if get_origin(hint) is Annotated:
            hint, *annotations = get_args(hint)
            for each in annotations:
                if type(each) is not Option:
                    raise NotPlainError
                self.names = each.names or self.names
                self._validators += [each.validator] if each.validator else []
        self._type = hint
        if get_origin(hint) in {Union, UnionType}:
            members = [each for each in get_args(hint) if each is not NoneType]
            hint = members[0] if len(members) == 1 else None
        self.is_list = get_origin(hint) is list
        self._item = get_args(hint)[0] if self.is_list else hint
        self.is_flag = hint is bool
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Add what is typed for it; for a flag, its name."""
        unusual = not text or text[0] in "-[{" or text.lower() in {"none", "null"}
        if (unusual and not self.is_flag) or (self.texts and not self.is_list):
            raise NotPlainError
        self.texts.append(text)

    def value(self) -> Any:
        """Return what is typed, as its type has it."""
        values = [self.is_flag or _convert(self._item, text) for text in self.texts]
        value = values if self.is_list else values[0]
        for validate in self._validators:
            try:
                validate(self._type, value)
            except ValueError as error:
                raise NotPlainError from error
        return value


def _convert(kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if kind is Path:
        return Path(text)
    if kind is int or kind is float:
        digits = text.replace(".", "", kind is float)
        if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS:
            return kind(text)
    elif get_origin(kind) is Literal:
        if text in get_args(kind):
            return text
    elif isinstance(kind, type) and issubclass(kind, Enum) and not issubclass(kind, Flag):
        for name, member in kind.__members__.items():
            if name.isupper() and name.lower().replace("_", "-") == text:
                return member
    raise NotPlainError


class _Options:
    """The options of a command."""

    def __init__(self, hints: Mapping[str, Any], names: Iterable[str]) -> None:
        self._single: dict[str, _Parameter] = {}
        self._groups: dict[str, tuple[type, dict[str, _Parameter]]] = {}
        for name in names:
            hint = hints.get(name)
            if isinstance(hint, type) and hasattr(hint, "__option_group__"):
                members: dict[str, _Parameter] = {}
                for base in reversed(hint.__mro__):
                    fields = getattr(base, "__annotations__", {})
                    members |= {each: _Parameter(fields[each], each) for each in fields}
                self._groups[name] = hint, members
            else:
                self._single[name] = _Parameter(hint, name)
        every = [*self._single.values()]
        every += [each for _, members in self._groups.values() for each in members.values()]
        self._by_name = {name: each for each in every for name in each.names}

    def sort(self, arguments: Sequence[str]) -> tuple[list[str], bool]:
        """Keep what is typed for options; return the other words, and whether they are together."""
        words: list[str] = []
        pieces, is_new = 0, True
        pending = iter(arguments)
        for typed in pending:
            if not typed.startswith("-"):
                words.append(typed)
                pieces, is_new = pieces + is_new, False
                continue
            is_new = True
            name, equals, text = typed.partition("=")
            option = self._by_name.get(name)
            if option is None or (equals and (option.is_flag or not name.startswith("--"))):
                raise NotPlainError
            if option.is_flag:
                text = name
            elif not equals:
                text = next(pending, "")
            option.add(text)
        return words, pieces < 2

    def bind(self, defaults: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the keyword arguments for what is typed."""
        bound: dict[str, Any] = {
            name: each.value() for name, each in self._single.items() if each.texts
        }
        for name, (kind, members) in self._groups.items():
            typed = {field: each.value() for field, each in members.items() if each.texts}
            if typed:
                bound[name] = kind(**typed)
        if not {*self._single, *self._groups} <= {*bound, *(defaults or ())}:
            raise NotPlainError
        return bound


def _bind_words(
    places: Sequence[_Parameter], words: Sequence[str], required: int, together: bool
) -> list[Any]:
    """Return the positional arguments; of a list, which is the last, all words must be together."""
    if any(each.is_list or each.is_flag for each in places[:-1]):
        raise NotPlainError
    takes_all = bool(places) and places[-1].is_list
    if len(words) < required or (len(words) > len(places) and not takes_all):
        raise NotPlainError
    if takes_all and not together:
        raise NotPlainError
    for index, word in enumerate(words):
        places[min(index, len(places) - 1)].add(word)
    return [each.value() for each in places if each.texts]
