"""Commands as Cyclopts takes them, their options annotated with its ``Parameter``."""

from collections.abc import Callable
from inspect import cleandoc
from types import FunctionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from cyclopts import App, Parameter

from pacs_core.cli.option import CommandGroup, Option, OptionGroup, import_target

# Theory of operation
#
# Cyclopts finds nothing in annotations but its own `Parameter`, so it is given a copy of each
# function whose annotations are translated: the function itself stays as it is, and can still be
# called for a plain line. Of a class of options the annotations of its `__init__` are translated
# in place, since what the function gets is to be of that class; those of its fields stay.
#
# Cyclopts imports a command when it is needed, by a path. Paths that `lazy_path` makes lead to
# this module, whose attributes are all commands that there are.


_ITEMS = ("-", "*", ">")


def to_cyclopts(command: Any, name: str | None = None) -> Any:
    """Return a command as Cyclopts takes it: an application of its, or a function.

    Parameters
    ----------
    command
        A function, a group of commands, or an application of Cyclopts.
    name : str, optional
        What a group is called by.

    Raises
    ------
    ImportError, AttributeError
        A command of a group is not there.
    """
    if isinstance(command, CommandGroup):
        app = App(name=name, help=command.help)
        for each, target in command.commands.items():
            app.command(to_cyclopts(import_target(target)), name=each)
        return app
    if isinstance(command, App):
        _translate_app(command)
        return command
    return _translate_function(command) if isinstance(command, FunctionType) else command


def lazy_path(target: str) -> str:
    """Return the path by which Cyclopts imports a command.

    Parameters
    ----------
    target : str
        ``module:function``.
    """
    return f"{__name__}:{target.replace(':', '.')}"


def __getattr__(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if not module:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return to_cyclopts(import_target(f"{module}:{attribute}"))


def join_lines(docstring: str) -> str:
    """Return a docstring each of whose paragraphs is a line: a terminal has a width of its own."""
    joined: list[str] = []
    in_section = False
    for line in cleandoc(docstring).splitlines():
        before, text = joined[-1] if joined else "", line.lstrip()
        indent = len(line) - len(text)
        in_section |= text.startswith("---")
        is_new = not before.strip() or not text or text.startswith(_ITEMS)
        if is_new or indent != len(before) - len(before.lstrip()) or (in_section and not indent):
            joined.append(line)
        else:
            joined[-1] += f" {text}"
    return "\n".join(joined)


def _translate_app(app: App) -> None:
    if isinstance(app.default_command, FunctionType):
        app.default_command = _translate_function(app.default_command)
    for name in app:
        if not name.startswith("-"):
            _translate_app(app[name])


def _translate_function(function: FunctionType) -> Callable[..., Any]:
    hints = get_type_hints(function, include_extras=True)
    made = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    made.__doc__ = join_lines(function.__doc__) if function.__doc__ else None
    made.__annotations__ = {each: _translate(hint) for each, hint in hints.items()}
    return made


def _translate(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        kind, *annotations = get_args(hint)
        return Annotated[(_translate(kind), *map(_parameter, annotations))]
    if get_origin(hint) is Union:
        return Union[tuple(map(_translate, get_args(hint)))]  # noqa: UP007 of what is given
    group = getattr(hint, "__option_group__", None)
    if isinstance(group, OptionGroup) and isinstance(hint, type):
        fields = vars(hint)["__init__"]
        types = get_type_hints(fields, include_extras=True)
        fields.__annotations__ = {name: _translate(each) for name, each in types.items()}
        title: dict[str, Any] = {"group": group.title} if group.title else {}
        return Annotated[hint, Parameter(name="*", **title)]
    return hint


def _parameter(annotation: Any) -> Any:
    if not isinstance(annotation, Option):
        return annotation
    given: dict[str, Any] = {
        "name": annotation.names or None,
        "help": annotation.help or None,
        "validator": annotation.validator,
    }
    return Parameter(
        negative=annotation.denied or (), **{name: each for name, each in given.items() if each}
    )
