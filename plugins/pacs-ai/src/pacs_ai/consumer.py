"""Consumer of the archive's changes: makes requests of studies that are complete.

Changes come at least once: what a request is about is its key, so that a second one finds the
first. A study that becomes complete again, because results have come for it, has the same inputs as
before: results are none.
"""

import logging
from collections.abc import Sequence

from pacs_core.contracts import Change, ChangeConsumer, ChangeKind, Node

logger = logging.getLogger(__name__)


class AiConsumer(ChangeConsumer):
    """Hears of complete studies.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self) -> None:
        """Find what it works with."""
        from pacs_ai.inferences import find_inferences

        self._inferences = find_inferences(self._node)

    async def handle(self, changes: Sequence[Change]) -> None:
        """See base."""
        for change in changes:
            if change.kind is ChangeKind.STUDY_COMPLETE:
                await self._inferences.follow_rules(change.study_instance_uid)
