"""The contract of deletion guards: they say what must be kept, and why, before anything goes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin, StoredInstance


class DeletionGuard(Component, ABC):
    """Keeps instances from being deleted, or replaced by other content, by whatever door.

    All guards are asked, and what one of them holds stays. Nothing goes that one of them has not
    been asked about: where a guard raises, takes longer than ``network.timeouts.plugin``, or has
    not started, all that it is asked about is held. Storing is not kept up by that. Whoever deletes
    may override all holds, with a reason that is audited: :meth:`Archive.delete_all`.

    Instances are asked about twice: before anything of them is touched, and again when the index
    does not have them any more, but the store still does. So a guard that notes what it holds, and
    then finds an instance in the index, may rely on it: whoever was about to delete that instance
    meanwhile is told, and puts it back.
    """

    @abstractmethod
    async def find_holds(
        self, instances: Sequence[StoredInstance], origin: Origin
    ) -> Mapping[str, str]:
        """Return which of these must be kept now, and why.

        Parameters
        ----------
        instances : sequence of StoredInstance
            At most 500.
        origin : Origin
            Who would delete or replace them, and by which door.

        Returns
        -------
        mapping of str to str
            Reasons by SOP Instance UID, as a person should read them. What is not in it may go.
        """
