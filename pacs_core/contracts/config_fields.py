"""Types of fields of a config class that mean more than text: files, and stores."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A text file that a key of the configuration names, as it was when the configuration was read.

    In the file the key has the path. The value is another one when the text is: where the field has
    the mark :data:`~pacs_core.contracts.RELOADABLE`, whoever edits the file and lets the node read
    its configuration again, hands the new text to components.

    Attributes
    ----------
    path : Path
    text : str
        Decoded as UTF-8.
    """

    # No attrs class: those are tables of the configuration.
    path: Path
    text: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Return the path, as the configuration has it."""
        return str(self.path)


class StoreName(str):
    """The name of another object store, as a field of the config of one that is made of others.

    Either that of a table ``[stores.NAME]``, or the type of a store without one. Every store is
    part of one other at most.
    """

    __slots__ = ()
