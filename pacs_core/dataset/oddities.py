"""The oddities of a dataset: what was put up with, and what keeps it from being converted."""

from attrs import define, field

_MOST = 8

MAX_BEFORE_PIXELS = 64 * 1024 * 1024
"""Bytes that may precede Pixel Data of an image whose frames are to be converted: functional groups
of many frames can be long."""


@define
class Oddities:
    """What was found in one dataset, for the log, the audit trail and the sender.

    Attributes
    ----------
    notes : dict of str to None
        What is against PS3.5 and was put up with, in the order in which it was met; the first
        few, as a hostile dataset may have millions.
    obstacle : str
        Why the dataset cannot be converted to another encoding; empty if it can.
    """

    notes: dict[str, None] = field(factory=dict)
    obstacle: str = ""

    def note(self, what: str) -> None:
        """Remember an oddity once."""
        if len(self.notes) < _MOST:
            self.notes[what] = None

    def obstruct(self, why: str) -> None:
        """Remember the first reason why the dataset cannot be converted."""
        self.obstacle = self.obstacle or why
