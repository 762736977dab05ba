"""Owners of code that runs: which plugin it belongs to."""

import os
from collections.abc import Iterable
from types import CodeType, FrameType

from attrs import define, field

from pacs_core.plugins.code import CodeFrame, code_roots, frame_of, holds
from pacs_core.plugins.records import PluginRecord

Roots = list[tuple[str, PluginRecord]]


def _roots(records: Iterable[PluginRecord]) -> Roots:
    """Return the roots of all plugins, the innermost first."""
    pairs = [(root, record) for record in records for root in code_roots(record.target)]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


@define
class CodeMap:
    """Finds the plugin that a piece of code belongs to.

    Parameters
    ----------
    records : iterable of PluginRecord
    """

    _roots: Roots = field(converter=_roots)

    def owner(self, file: str) -> PluginRecord | None:
        """Return the plugin that a file belongs to, or None."""
        path = os.path.abspath(file)
        return next((record for root, record in self._roots if holds(root, path)), None)

    def innermost(self, frame: FrameType | None) -> tuple[PluginRecord, CodeFrame] | None:
        """Return the innermost plugin's frame of a running stack, and the plugin; or None."""
        while frame is not None:
            record = self.owner(frame.f_code.co_filename)
            if record is not None:
                return record, frame_of(frame)
            frame = frame.f_back
        return None

    def of_code(self, codes: Iterable[CodeType]) -> tuple[PluginRecord, CodeFrame] | None:
        """Return the first code object that is a plugin's, as a frame, and the plugin; or None."""
        for code in codes:
            record = self.owner(code.co_filename)
            if record is not None:
                return record, CodeFrame(code.co_filename, code.co_firstlineno, code.co_qualname)
        return None
