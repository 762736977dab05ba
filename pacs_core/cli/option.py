"""Annotations by which the signature of a command says what its options are called.

They import nothing, so that a plain command line can be read without Cyclopts: see
:mod:`pacs_core.cli.plain_lines`, and :mod:`pacs_core.cli.cyclopts_commands` for all others.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


class Option:
    """An option, in ``Annotated[TYPE, Option(...)]``.

    An option that has none is called as its parameter is, and one that is a flag or a list can be
    denied: ``--no-NAME``, ``--empty-NAME``. With this it cannot.

    Parameters
    ----------
    *names : str
        What is typed, the long name first: ``"--output", "-o"``. Without, it is called as the
        parameter is.
    help : str
        What it does; else the docstring of the command says so.
    denied : str
        What is typed to deny a flag, for there is no other way.
    validator : callable, optional
        Called with the type and the value; it raises ValueError if the value will not do.
    """

    __slots__ = ("denied", "help", "names", "validator")

    def __init__(
        self,
        *names: str,
        help: str = "",  # noqa: A002 it is what it is called
        denied: str = "",
        validator: Callable[[Any, Any], None] | None = None,
    ) -> None:
        self.names, self.help, self.denied, self.validator = names, help, denied, validator


class OptionGroup:
    """Decorator of an attrs class whose fields are options that several commands have.

    Each field is an option by itself, annotated as a parameter is; a command has a keyword-only
    parameter of the class, with a default.

    Parameters
    ----------
    title : str
        Heading of the options in the help; else they stand among those of the command.
    """

    __slots__ = ("title",)

    def __init__(self, title: str = "") -> None:
        self.title = title

    def __call__(self, cls: type[T]) -> type[T]:
        """Mark the class."""
        cls.__option_group__ = self  # type: ignore[attr-defined]
        return cls


class CommandGroup:
    """Commands with a common first word; only the one that is typed is imported.

    Parameters
    ----------
    help : str
        What they do together.
    commands : mapping of str to str
        ``module:function`` of each, by name.
    """

    __slots__ = ("commands", "help")

    def __init__(self, help: str, commands: Mapping[str, str]) -> None:  # noqa: A002
        self.help, self.commands = help, commands


def import_target(target: str) -> Any:
    """Import what is named as ``module:object``."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
