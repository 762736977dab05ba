"""Entry points of distributions that lie in folders on the path, found by a look into their files.

To ask importlib_metadata takes a seventh of all that a short command takes: its own import, and
reading what every distribution offers. Here ``entry_points.txt`` is read of each, and searched for
the one group. What lies in a zip file, or behind a finder of somebody's own, is not found.
"""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any, Final

from attrs import frozen

_ENDING: Final = ".dist-info"


@frozen
class EntryPoint:
    """What a distribution offers under a name.

    Attributes
    ----------
    name : str
    value : str
        ``module:object``.
    distribution : str
        Its name and version; empty if they are not known.
    """

    name: str
    value: str
    distribution: str = ""

    def load(self) -> Any:
        """Import it."""
        module, _, names = self.value.partition("[")[0].partition(":")
        return attrgetter(names.strip())(import_module(module.strip()))


def find_entry_points(group: str) -> Iterator[EntryPoint]:
    """Iterate over the entry points of a group."""
    heading = f"[{group}]"
    for folder in sys.path:
        try:
            names = [each for each in os.listdir(folder or ".") if each.endswith(_ENDING)]
        except OSError:
            continue
        for each in names:
            try:
                with open(os.path.join(folder, each, "entry_points.txt"), encoding="utf-8") as file:
                    text = file.read()
            except (OSError, UnicodeDecodeError):
                continue
            if heading in text:
                distribution = each.removesuffix(_ENDING).replace("-", " ").replace("_", "-")
                for name, value in _read(text, heading):
                    yield EntryPoint(name, value, distribution)


def _read(text: str, heading: str) -> Iterator[tuple[str, str]]:
    within = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            within = line == heading
        elif within and line[:1] not in {"", "#", ";"}:
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()
