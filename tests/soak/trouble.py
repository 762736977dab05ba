"""Times at which operations may fail, and findings: failures at any other time, wrong answers."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

GRACE = 5.0
"""Seconds after a fault in which connections that it has broken may still end."""


class WrongAnswerError(Exception):
    """An answer of the node that no fault excuses."""


class RefusedError(Exception):
    """A status that only a fault excuses."""


@define
class Trouble:
    """What was wrong, and when.

    Attributes
    ----------
    faults : Counter of str
        How many of each were injected.
    done, excused : Counter of str
        Operations by kind that succeeded, and that failed while a fault was there.
    findings : list of str
    """

    faults: Counter[str] = field(factory=Counter)
    done: Counter[str] = field(factory=Counter)
    excused: Counter[str] = field(factory=Counter)
    findings: list[str] = field(factory=list)
    active: str = ""
    _ended: float = -1000.0

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Excuse failures within a ``with`` block and a little longer."""
        self.faults[name] += 1
        self.active = name
        try:
            yield
        finally:
            self.active = ""
            self._ended = time.monotonic()

    def excuses(self, since: float) -> bool:
        """Tell whether a fault was there since a moment of the monotonic clock."""
        return bool(self.active) or self._ended + GRACE > since

    def find(self, text: str) -> None:
        """Note a finding, and show it at once."""
        text = f"{time.strftime('%H:%M:%S')} {text}"
        self.findings.append(text)
        print(f"FINDING {text}", flush=True)
