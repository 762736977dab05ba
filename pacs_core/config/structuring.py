"""Raw tables to typed values: strict, and with every error at once."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

from attrs import fields, has
from cattrs import (
    BaseValidationError,
    ClassValidationError,
    Converter,
    IterableValidationError,
    transform_error,
)
from cattrs.errors import (
    AttributeValidationNote,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_mapping_structure_fn

from pacs_core.config.errors import ConfigError
from pacs_core.contracts import ConfigFile, Secret, StoreName

# Theory of operation
#
# cattrs does the work; what is added here is strictness, and that every problem is found at once.
#
# Strict: no value is coerced. Left to itself cattrs would make the string "yes" a true value and a
# string a list of characters. A mistake in a file should be told, not interpreted.
#
# At once: cattrs runs the validators of a class when the object is made, so that they never run if
# one field has the wrong type, and the first that fails hides the others. `_validated` therefore
# runs the validator of each field by itself before. What the class reports afterwards is then a
# repetition, recognised by its lack of a place, and left out.
#
# Messages begin with the path of the value in the file, and say what is accepted: whoever reads
# them has the file open, not the code. Secrets are never in a message, as they are never in the
# file: only where to find them is.

T = TypeVar("T")

MAX_CONFIG_FILE: Final = 4 << 20
"""Bytes of a file that a key names, see :class:`ConfigFile`."""


def check_schema(schema: object) -> type:
    """Return a class that can be structured, whatever a table holds.

    Raises
    ------
    TypeError
        It is no attrs class, or has a field of a type that configuration cannot express.
    """
    if not isinstance(schema, type) or not has(schema):
        raise TypeError(f"expected an attrs class, not {schema!r}")
    try:
        _converter.get_structure_hook(schema)
    except Exception as error:
        raise TypeError(f"{schema.__qualname__} cannot be read from TOML: {error}") from error
    return schema


def structure(raw: object, schema: type[T], path: str) -> T:
    """Return `raw` as an instance of `schema`.

    Parameters
    ----------
    raw : object
        As the TOML reader gives it.
    schema : type
        An attrs class.
    path : str
        Of the table, for messages.

    Raises
    ------
    ConfigError
        With every problem in the table.
    """
    try:
        return _converter.structure(raw, schema)
    except BaseValidationError as error:
        problems = transform_error(error, path="$", format_exception=_explain)
        readable = [_readable(problem, path) for problem in problems]
        raise ConfigError(list(dict.fromkeys(readable))) from error
    except Exception as error:
        raise ConfigError([f"{path}: {_explain(error, schema)}"]) from error


def _readable(problem: str, path: str) -> str:
    what, _, where = problem.rpartition(" @ $")
    where = re.sub(r"\['([A-Za-z0-9_-]+)'\]", r".\1", where)
    place = f"{path}{where}" if path else where.removeprefix(".")
    return f"{place or 'configuration'}: {what}"


def _explain(error: BaseException, schema: type | None) -> str:
    if isinstance(error, KeyError):
        return f"the required key {error.args[0]!r} is missing"
    if isinstance(error, ForbiddenExtraKeysError):
        known = ", ".join(sorted(field.name for field in fields(error.cl)))
        extra = ", ".join(sorted(repr(key) for key in error.extra_fields))
        return f"unknown key {extra}; known are {known}"
    if isinstance(error, ValueError | TypeError | LookupError):
        # attrs validators append the attribute and the value; the message comes first.
        return str(error.args[0]) if error.args else str(error)
    return f"{type(error).__name__}: {error}"


def _exactly(value: object, kind: Any) -> Any:
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {_NAMES[kind]}, found {value!r}")
    return kind(value)


_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def _choice(value: object, kind: type[Enum]) -> Enum:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(repr(member.value) for member in kind)
        raise ValueError(f"{value!r} is none of {choices}") from None


def _path(value: object, _kind: object) -> Path:
    return Path(_exactly(value, str)).expanduser()


def _config_file(value: object, kind: object) -> ConfigFile:
    path = _path(value, kind)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_FILE + 1)
        if len(content) > MAX_CONFIG_FILE:
            raise ValueError(f"{path} has more than {MAX_CONFIG_FILE >> 20} MiB")
        return ConfigFile(path, content.decode("utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8") from error


def _items(value: object, kind: Any) -> Any:
    """Structure a list; cattrs alone would take a string for a list of characters."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"expected a list, found {value!r}")
    items, errors = [], []
    for index, item in enumerate(value):
        try:
            items.append(_converter.structure(item, get_args(kind)[0]))
        except Exception as error:
            error.add_note(IterableValidationNote("", index, get_args(kind)[0]))
            errors.append(error)
    if errors:
        raise IterableValidationError("", errors, kind)
    return _COLLECTIONS[get_origin(kind)](items)


_COLLECTIONS: dict[Any, Callable[[list[Any]], object]] = {
    tuple: tuple,
    list: list,
    set: set,
    frozenset: frozenset,
    Sequence: tuple,
}


_MAPPINGS: tuple[Any, ...] = (dict, Mapping)


def _mapping(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    # The converter's own factory would put this before our hook for all that is structured later.
    inner = make_mapping_structure_fn(kind, converter)

    def hook(value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected a table, found {value!r}")
        return inner(value, kind)

    return hook


def _secret(value: object, _kind: object) -> Secret:
    if not isinstance(value, Mapping) or len(value) != 1 or not value.keys() <= {"env", "file"}:
        raise TypeError('a secret is { env = "NAME" } or { file = "PATH" }, never the value itself')
    return Secret(**{key: _exactly(item, str) for key, item in value.items()})


def _validated(schema: type, converter: Converter) -> Callable[[Any, Any], Any]:
    """Return a structure hook that also validates fields whose siblings are wrong."""
    inner: Callable[[Any, Any], Any] = make_dict_structure_fn(
        schema, converter, _cattrs_forbid_extra_keys=True
    )

    def hook(value: Any, _kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected a table, found {value!r}")
        invalid = list(_invalid_fields(schema, value, converter))
        try:
            return inner(value, schema)
        except ClassValidationError as error:
            # The class's own validation repeats, without a path, the first of the invalid fields.
            others = [
                each
                for each in error.exceptions
                if not invalid
                or hasattr(each, "__notes__")
                or isinstance(each, ForbiddenExtraKeysError)
            ]
            raise ClassValidationError("", [*invalid, *others], schema) from None

    return hook


def _invalid_fields(
    schema: type, table: Mapping[str, object], converter: Converter
) -> Iterator[Exception]:
    for field in fields(schema):
        if field.validator is None or field.name not in table:
            continue
        try:
            value = converter.structure(table[field.name], field.type)
        except Exception:  # noqa: S112 reported with its sibling fields
            continue
        try:
            field.validator(None, field, value)
        except Exception as error:
            error.add_note(AttributeValidationNote("", field.name, field.type))
            yield error


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in _NAMES:
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook(Path, _path)
    converter.register_structure_hook(ConfigFile, _config_file)
    converter.register_structure_hook(StoreName, lambda value, _: StoreName(_exactly(value, str)))
    converter.register_structure_hook_func(
        lambda kind: isinstance(kind, type) and issubclass(kind, Enum), _choice
    )
    converter.register_structure_hook_func(lambda kind: get_origin(kind) in _COLLECTIONS, _items)
    converter.register_structure_hook_factory(
        lambda kind: get_origin(kind) in _MAPPINGS, lambda kind: _mapping(kind, converter)
    )
    converter.register_structure_hook_factory(has, lambda kind: _validated(kind, converter))
    converter.register_structure_hook(Secret, _secret)
    return converter


_converter = _make_converter()
