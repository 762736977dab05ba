"""Hooks that plugins publish, called for them: what one does wrong reaches no other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pacs_core.contracts import Contribution, Hooks
from pacs_core.plugins import Fault

if TYPE_CHECKING:
    from pacs_core.app.assembly import Assembly


class NodeHooks(Hooks):
    """The hooks of an assembled node.

    Parameters
    ----------
    assembly : Assembly
    """

    def __init__(self, assembly: "Assembly") -> None:
        self._assembly = assembly

    def call(self, hook: str, **arguments: object) -> Iterator[Contribution]:
        """See base."""
        if not self._assembly.manager.publishes(hook):
            raise LookupError(f"no plugin publishes the hook {hook}: return it in pacs_hookspecs")
        manager, setups = self._assembly.manager, self._assembly.setup_for
        return (
            Contribution(record.name, record.source, result)
            for record, result in manager.call(hook, setups, **arguments)
        )

    def refuse(self, contribution: Contribution, reason: str) -> None:
        """See base."""
        manager = self._assembly.manager
        for record in manager.loaded:
            if record.name == contribution.plugin:
                manager.quarantine(record, Fault.WRONG_RESULT, reason)
