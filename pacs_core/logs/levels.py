"""Severities of levels, and the levels of loggers."""

import logging
from collections.abc import Mapping
from typing import Final

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4))


def priority_of(level: int) -> int:
    """Return the severity of a level as RFC 5424 §6.2.1 has it."""
    found = next((priority for bound, priority in _PRIORITIES if level >= bound), 0)
    return found or (6 if level >= logging.INFO else 7)


def set_levels(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Give loggers levels by their names, and take them from those that had one before.

    Parameters
    ----------
    before, after : mapping of str to str
        The name of the root logger is empty.
    """
    for name in before.keys() - after.keys():
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in after.items():
        logging.getLogger(name).setLevel(level.upper())
