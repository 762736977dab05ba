"""The table of Storage SOP classes (PS3.4 Table B.5-1), and which of them a node offers."""

from importlib.resources import files
from typing import Final

from attrs import frozen


@frozen
class StorageSopClass:
    """A row of the table.

    Attributes
    ----------
    uid : str
    group : str
        The family that configuration switches on and off as one: ``"ct"``, ``"sr"``, ...
    retired : bool
        Whether the standard has retired it. Archives still meet these objects.
    keyword, name : str
        As in PS3.6 Table A-1.
    """

    uid: str
    group: str
    retired: bool
    keyword: str
    name: str


def _read_table() -> tuple[StorageSopClass, ...]:
    table = files(__package__).joinpath("sop_classes.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines()[1:])
    return tuple(
        StorageSopClass(uid, group, state == "retired", keyword, name)
        for uid, group, state, keyword, name in rows
    )


SOP_CLASSES: Final = _read_table()
"""Every SOP class of PS3.4 Table B.5-1, the retired ones, and those of DICOS and DICONDE."""

GROUPS: Final = frozenset(row.group for row in SOP_CLASSES)
