"""Files with secrets that a configuration names: passwords, tokens, and private keys."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import fields, has

from pacs_core.contracts import ClientTls, Secret, ServerTls


def list_secret_files(table: object, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the key of each secret that is in a file, and the file.

    Parameters
    ----------
    table : object
        A table of the configuration, or what is in one.
    name : str
        Its key.
    """
    match table:
        case Secret(file=file) if file:
            yield name, Path(file)
        case (
            ServerTls(certificate=certificate, key=None)
            | ClientTls(certificate=certificate, key=None)
        ) if certificate is not None:
            yield f"{name}.certificate", certificate  # which has the private key, too
        case Mapping():
            for key, value in table.items():
                yield from list_secret_files(value, f"{name}.{key}")
        case tuple() | list():
            for value in table:
                yield from list_secret_files(value, name)
        case _:
            kind = type(table)
            for each in fields(kind) if has(kind) else ():
                inner = f"{name}.{each.name}" if name else each.name
                yield from list_secret_files(getattr(table, each.name), inner)
