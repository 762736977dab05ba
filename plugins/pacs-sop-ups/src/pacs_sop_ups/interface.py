"""Unified procedure steps as other plugins see them."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence

from pacs_core.contracts import Condition, PatientRecords, Restriction
from pacs_core.dataset import Attributes
from pacs_sop_ups.steps import ChangedStep, ProcedureStep
from pacs_sop_ups.transitions import StepState


class UnifiedProcedureSteps(PatientRecords):
    """Work that was asked for: who does it, and how far it has come.

    What is done here is done as by the DIMSE services: the same rules, codes and events. Each
    change is one transaction; of several who claim a step, one has it.
    """

    @property
    def records_name(self) -> str:
        """What its records are."""
        return "ups"

    @abstractmethod
    async def create(
        self,
        instance_uid: str,
        attributes: Attributes,
        *,
        requestor: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Create a step (PS3.4 CC.2.5); it outlives ``SIGKILL`` when this returns.

        Parameters
        ----------
        instance_uid : str
            SOP Instance UID.
        attributes : Attributes
            Of Table CC.2.5-3, Specific Character Set included.
        requestor : str
            AE title of who asks.
        restrictions : sequence of Restriction
            What steps exist for whoever asks; see :meth:`AccessGuard.require`.

        Raises
        ------
        RefusedRequestError
            C309H; 0106H, 0111H, 0117H, 0120H, 0121H, 0124H, 0213H.
        """

    @abstractmethod
    async def change(
        self,
        instance_uid: str,
        modifications: Attributes,
        *,
        requestor: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Set attributes of a step (PS3.4 CC.2.6), with the Transaction UID of one in progress.

        Raises
        ------
        RefusedRequestError
            C300H, C301H, C303H, C307H, C310H; 0105H, 0106H, 0121H, 0213H.
        """

    @abstractmethod
    async def change_state(
        self,
        instance_uid: str,
        state: str,
        transaction_uid: str,
        *,
        requestor: str = "",
        is_watched: bool = False,
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Claim, complete or cancel a step (PS3.4 CC.2.1).

        Parameters
        ----------
        instance_uid, state, transaction_uid : str
        requestor : str
            AE title of who asks.
        is_watched : bool
            Of a claim: whether who claims it will look at its `cancel_request` now and then.
        restrictions : sequence of Restriction

        Raises
        ------
        RefusedRequestError
            C300H to C304H, C307H, C310H; 0115H.
        """

    @abstractmethod
    async def request_cancel(
        self,
        instance_uid: str,
        information: Attributes,
        *,
        requestor: str = "",
        restrictions: Sequence[Restriction] = (),
    ) -> ChangedStep:
        """Cancel a step, or ask its performer to (PS3.4 CC.2.2).

        A performer is asked by an event, if it follows the step, and by `cancel_request` of the
        step, if it watches that.

        Raises
        ------
        RefusedRequestError
            C307H, C311H, C312H.
        """

    @abstractmethod
    async def subscribe(
        self,
        instance_uid: str,
        receiver: str,
        *,
        keys: Attributes | None = None,
        has_lock: bool = False,
        restrictions: Sequence[Restriction] = (),
    ) -> int:
        """Have somebody told of what happens to a step, or to many (PS3.4 CC.2.3).

        Parameters
        ----------
        instance_uid : str
            Of a step, or a well-known one: of all steps, or those that match.
        receiver : str
            AE title: of a configured peer, which is sent N-EVENT-REPORT, or of somebody else, who
            fetches events.
        keys : Attributes, optional
            Of a filter.
        has_lock : bool
            Whether steps are not to be forgotten as long as the receiver follows them.
        restrictions : sequence of Restriction

        Returns
        -------
        int
            Success, or B301H: without the lock.

        Raises
        ------
        RefusedRequestError
            C307H; 0115H, if it is no AE title, or no filter.
        """

    @abstractmethod
    async def unsubscribe(
        self, instance_uid: str, receiver: str, *, restrictions: Sequence[Restriction] = ()
    ) -> bool:
        """Have somebody told no more; return whether they were.

        Parameters
        ----------
        instance_uid : str
            Of a step, or a well-known one: of all that they follow.
        receiver : str
        restrictions : sequence of Restriction

        Raises
        ------
        RefusedRequestError
            C307H.
        """

    @abstractmethod
    async def suspend(self, instance_uid: str, receiver: str) -> bool:
        """Have somebody not follow new steps; return whether they did.

        Raises
        ------
        RefusedRequestError
            C314H: it is not one of the well-known instances.
        """

    @abstractmethod
    async def find(
        self, instance_uid: str, *, restrictions: Sequence[Restriction] = ()
    ) -> ProcedureStep:
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
        states: Collection[StepState] = (),
        changed_since: float | None = None,
        restrictions: Sequence[Restriction] = (),
    ) -> AsyncIterator[ProcedureStep]:
        """Iterate over steps, the latest first.

        Parameters
        ----------
        conditions : sequence of Condition
            On their attributes.
        states : collection of StepState
            In which they are; any if there is none.
        changed_since : float, optional
            Seconds since the epoch.
        """

    @abstractmethod
    async def forget(self, *, ended_before: float) -> int:
        """Forget steps that ended before, but for locked ones; return how many.

        Parameters
        ----------
        ended_before : float
            Seconds since the epoch.
        """
