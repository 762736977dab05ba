"""The worklist as other plugins see it: what feeds it, and what tells how far a step has come."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence

from attrs import frozen

from pacs_core.contracts import Condition, PatientRecords, Restriction
from pacs_sop_worklist.steps import Step, StepState


@frozen
class ListedStep:
    """A step as it stands on the list.

    Attributes
    ----------
    number : int
    step : Step
    source : str
        Where it came from, such as ``file:NAME`` or ``hl7``.
    performed : str
        SOP Instance UID of the Modality Performed Procedure Step that it was begun with.
    """

    number: int
    step: Step
    source: str
    performed: str = ""


class Worklist(PatientRecords):
    """The scheduled procedure steps that this site's modalities are to perform."""

    @property
    def records_name(self) -> str:
        """What its records are."""
        return "worklist"

    @abstractmethod
    async def put(self, steps: Sequence[Step], source: str) -> int:
        """Add steps, or update those with the same study, requested procedure and step ID.

        All or none. A step that has been begun keeps its state, and one that has ended is left
        alone: an order that is sent again does not schedule it anew.

        Returns
        -------
        int
            How many were added or changed.
        """

    @abstractmethod
    async def withdraw(self, source: str, *, keep: Collection[str] = ()) -> int:
        """Take steps of a source off the list that nobody has begun, but for some identities."""

    @abstractmethod
    async def set_state(
        self,
        number: int,
        state: StepState,
        *,
        performed: str | None = None,
        unless_performed: bool = False,
    ) -> bool:
        """Say how far a step has come.

        Parameters
        ----------
        number : int
        state : StepState
        performed : str, optional
            SOP Instance UID of the performed step that says so.
        unless_performed : bool
            Leave it alone if a performed step has spoken for it: who guesses gives way.

        Returns
        -------
        bool
            Whether there is such a step, and it was changed.
        """

    @abstractmethod
    async def forget(self, *, ended_before: float, due_before: str) -> int:
        """Forget steps that ended, or were to begin and have not, or not ended, before a time.

        Parameters
        ----------
        ended_before : float
            Seconds since the epoch.
        due_before : str
            As :attr:`Step.start`.

        Returns
        -------
        int
            How many there were.
        """

    @abstractmethod
    async def find(self, number: int) -> ListedStep:
        """Return a step, also one that is no longer on the list.

        Raises
        ------
        KeyError
        """

    @abstractmethod
    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        station: str = "",
        with_ended: bool = False,
        restrictions: Sequence[Restriction] = (),
        after: int | None = None,
    ) -> AsyncIterator[ListedStep]:
        """Iterate over the steps that match, by their start.

        Parameters
        ----------
        conditions : sequence of Condition
            On the attributes of the entry; those of the step within a ``SequenceMatch``.
        station : str
            Only those that name this station, or none at all.
        with_ended : bool
            Also those that are no longer on the list.
        restrictions : sequence of Restriction
            What steps exist for whoever asks; see :meth:`AccessGuard.require`.
        after : int, optional
            Number of a step: only those that come after it in this order.

        Raises
        ------
        KeyError
            There is no step `after`.
        """
