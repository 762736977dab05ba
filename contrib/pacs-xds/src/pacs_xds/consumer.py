"""Consumer of the archive's changes: has studies registered that are complete.

Changes come at least once, and a study is complete again whenever it has changed and is quiet: the
job finds out whether there is something new to register.
"""

from collections.abc import Sequence

from attrs import define
from pacs_core.contracts import Change, ChangeConsumer, Node

from pacs_xds.interface import Registrations


@define(eq=False)
class RegisterComplete(ChangeConsumer):
    """Hears of complete studies.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def handle(self, changes: Sequence[Change]) -> None:
        """See base."""
        for uid in dict.fromkeys(change.study_instance_uid for change in changes):
            await self.node.find(Registrations).request(uid)
