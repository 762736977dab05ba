"""Several associations with one peer, on which instances go out at once."""

from collections.abc import Callable

from pacs_core.contracts import RequestedAssociation
from pacs_core.sending.destinations import Answer, Destination, Remote, WaitForAnswer
from pacs_core.sending.held_association import HeldAssociation
from pacs_core.sending.read_ahead import Conversion, Outgoing

# Theory of operation
#
# The first association is there when sending begins, and says what the peer takes. Each instance
# after the first asks for one more, until there are as many as the peer may have. Nobody waits for
# those: they are used once they are open, and where there is no place for them, or the peer does
# not want them, or takes other forms on them, it goes on with those that there are.
#
# An instance goes to the association with the most room, so one that is slow gets fewer.
#
# Once one of them has ended all that follows fails, as it does where there is only one.


class Several(Destination):
    """A peer, on up to so many associations of this node's.

    Parameters
    ----------
    first : Remote
    most : int
        Associations, the first included.
    open_another : callable
        Begins to associate.
    as_remote : callable
        Makes a destination of an association.
    """

    def __init__(
        self,
        first: Remote,
        most: int,
        open_another: Callable[[], HeldAssociation],
        as_remote: Callable[[RequestedAssociation], Remote],
    ) -> None:
        self.name, self.forms = first.name, first.forms
        self._outstanding = {first: 0}
        self._contexts = first.association.contexts
        self._more = most - 1
        self._coming: list[HeldAssociation] = []
        self._open_another, self._as_remote = open_another, as_remote
        self._begun = False

    @property
    def window(self) -> int:
        """See base: of all that are open."""
        for held in self._coming.copy():
            if (association := held.association) is not None:
                self._coming.remove(held)
                if association.contexts == self._contexts:
                    self._outstanding[self._as_remote(association)] = 0
        return sum(remote.window for remote in self._outstanding)

    async def send(self, item: Outgoing | Conversion) -> WaitForAnswer:
        """See base."""
        if self._begun and self._more:
            self._more -= 1
            self._coming.append(self._open_another())
        self._begun = True
        outstanding = self._outstanding
        remote = min(outstanding, key=lambda each: outstanding[each] / each.window)
        outstanding[remote] += 1
        try:
            wait = await remote.send(item)
        except BaseException:
            outstanding[remote] -= 1
            raise

        async def answer() -> Answer:
            try:
                return await wait()
            finally:
                outstanding[remote] -= 1
                self.reason = self.reason or remote.reason

        return answer
