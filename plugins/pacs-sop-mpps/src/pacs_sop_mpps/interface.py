"""Performed procedure steps as other plugins see them."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence

from pacs_core.contracts import Condition, PatientRecords, Restriction
from pacs_core.dataset import Attributes
from pacs_sop_mpps.steps import PerformedState, PerformedStep


class PerformedProcedureSteps(PatientRecords):
    """What the modalities of this site say they have done, or are doing.

    What is created and changed is forwarded, reported and linked to the worklist as this site's
    configuration says, whoever does it.
    """

    @property
    def records_name(self) -> str:
        """What its records are."""
        return "mpps"

    @abstractmethod
    async def create(
        self,
        instance_uid: str,
        attributes: Attributes,
        *,
        created_by: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> PerformedStep:
        """Create a step (PS3.4 F.7.2.1); it outlives ``SIGKILL`` when this returns.

        Parameters
        ----------
        instance_uid : str
            SOP Instance UID.
        attributes : Attributes
            Of Table F.7.2-1, Specific Character Set included.
        created_by : str
            AE title of who says so: it is not told again.
        restrictions : sequence of Restriction
            What steps exist for whoever says so; see :meth:`AccessGuard.require`.

        Raises
        ------
        RefusedRequestError
            0111H if there is one with this UID; 0124H if it would not exist for them; 0106H,
            0120H, 0121H, 0213H.
        """

    @abstractmethod
    async def change(
        self,
        instance_uid: str,
        modifications: Attributes,
        *,
        changed_by: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> PerformedStep:
        """Set attributes of a step (PS3.4 F.7.2.2), and so its state.

        Raises
        ------
        RefusedRequestError
            0112H if there is none; 0110H with Error ID A710H if it has ended; 0105H, 0106H, 0121H.
        """

    @abstractmethod
    async def find(
        self, instance_uid: str, *, restrictions: Sequence[Restriction] = ()
    ) -> PerformedStep:
        """Return a step.

        Raises
        ------
        KeyError
        """

    @abstractmethod
    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        state: PerformedState | None = None,
        study: str = "",
        changed_since: float | None = None,
        before: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> AsyncIterator[PerformedStep]:
        """Iterate over steps, the latest first.

        Parameters
        ----------
        conditions : sequence of Condition
            On their attributes.
        state : PerformedState, optional
        study : str
            Study Instance UID that one of their scheduled steps has, or refers to.
        changed_since : float, optional
            Seconds since the epoch.
        before : str
            SOP Instance UID of a step: only those that were created before it.
        restrictions : sequence of Restriction
            What steps exist for whoever asks.

        Raises
        ------
        KeyError
            There is no step `before`.
        """

    @abstractmethod
    async def forget(self, *, ended_before: float, in_progress_before: float) -> int:
        """Forget steps that have not changed since; return how many.

        Parameters
        ----------
        ended_before, in_progress_before : float
            Seconds since the epoch.
        """
