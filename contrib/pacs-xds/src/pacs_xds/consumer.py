"""Consumer of the archive's changes: has studies registered that are complete, or corrected.

Changes come at least once, and a study is complete again whenever instances have come or gone and
it is quiet: the job finds out whether there is something new to register. A correction, as of a
name or a merge of patients, completes nothing, so that only what is registered is looked at again.
"""

from collections.abc import Sequence

from attrs import define
from pacs_core.contracts import Change, ChangeConsumer, ChangeKind, Node

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
        registrations = self.node.find(Registrations)
        complete = {e.study_instance_uid for e in changes if e.kind is ChangeKind.STUDY_COMPLETE}
        for uid in dict.fromkeys(change.study_instance_uid for change in changes):
            if uid in complete or await registrations.current(uid) is not None:
                await registrations.request(uid)
