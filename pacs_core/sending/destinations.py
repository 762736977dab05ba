"""Destinations of instances: a peer on an association of this node's, or a requestor on its own."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from pacs_core.contracts import (
    AssociationError,
    Operation,
    Peer,
    RequestedAssociation,
    Sent,
    StoredInstance,
    Transcoder,
    TranscodingError,
)
from pacs_core.dimse import Priority, Status, StatusCategory, category, describe
from pacs_core.sending.forms import Forms
from pacs_core.sending.read_ahead import (
    Conversion,
    Item,
    MissingInstance,
    Outgoing,
    UnsendableError,
)

# Theory of operation
#
# A destination hides on which association instances go out. For C-GET it is that of the requestor,
# whose contexts were proposed before anybody knew what would be sent. For C-MOVE, and when plugins
# send, it is one of this node's, made for what is to be sent.
#
# Each instance gets exactly one result, whatever happens. A failure that concerns the instance is
# its own; one that concerns the association (`reason`) makes all that follow fail without being
# tried, with the same reason, so that a requestor sees why.
#
# A dataset cannot be taken back once its first byte is on the wire. If it breaks off, the
# association has to go, and that is a failure of the destination. What can be known before, such as
# that a conversion fails, is found while reading ahead, and costs only that instance.

logger = logging.getLogger(__name__)

T = TypeVar("T")


Answer = tuple[int, str] | None
"""Status and comment of a response; None if :attr:`Destination.reason` says why there is none."""
WaitForAnswer = Callable[[], Awaitable[Answer]]
WaitForResult = Callable[[], Awaitable[Sent]]


_MOST: Final = 16
"""Instances of which a requestor's answers may be outstanding, however many it would take."""


class Destination(ABC):
    """Takes instances one by one.

    Attributes
    ----------
    name : str
        For logs.
    forms : Forms
        In which it takes them.
    reason : str
        Why it takes nothing more; empty if it does.
    """

    name: str
    forms: Forms
    reason: str = ""

    @property
    def window(self) -> int:
        """Instances of which the answers may be outstanding at once."""
        return 1

    def refusal(self, instance: StoredInstance) -> str:
        """Return why an instance cannot be sent; nothing if it can."""
        return self.reason or self.forms.refusal(instance)

    def conversion(self, item: Outgoing) -> Conversion | MissingInstance | None:
        """Return what becomes of an instance; None if it is sent as it is stored."""
        return self.forms.conversion(item)

    async def begin(self, item: Item) -> WaitForResult:
        """Send what was read ahead, and release it; return what waits for what became of it."""
        try:
            if isinstance(item, MissingInstance):
                return _settled(self._fail(item.instance, item.reason))
            answer = await self.send(item)
        except UnsendableError as error:
            uid = item.instance.identity.sop_instance_uid
            logger.warning("%s is not sent to %s: %s", uid, self.name, error)
            # Error Comment has room for 64 characters (PS3.7 Annex C): the cause without what it
            # foiled says the most in them.
            failure = error.__cause__ or error
            return _settled(self._fail(item.instance, str(failure.__cause__ or failure)))
        finally:
            await item.close()
        return partial(self._result, item, answer)

    def _fail(self, instance: StoredInstance, reason: str) -> Sent:
        lost = bool(self.reason)
        return Sent(instance, Status.PROCESSING_FAILURE, self.reason or reason, peer_failed=lost)

    async def _result(self, item: Outgoing | Conversion, wait: WaitForAnswer) -> Sent:
        answer = await wait()
        if answer is None:
            return self._fail(item.instance, "")
        status, comment = answer
        reason = ""
        if category(status) is not StatusCategory.SUCCESS:
            reason = f"C-STORE was answered {describe(status)}" + (comment and f" ({comment})")
        uid, syntax = item.sop_instance_uid, item.transfer_syntax_uid
        return Sent(item.instance, status, reason, uid, syntax, item.size)

    @abstractmethod
    async def send(self, item: Outgoing | Conversion) -> WaitForAnswer:
        """Send an instance, and return what waits for the answer.

        Raises
        ------
        UnsendableError
            It cannot be converted; nothing of it was sent.
        """


class Requestor(Destination):
    """The requestor of an operation, on its own association.

    Sub-operations go into contexts in which it took the SCP role (PS3.4 C.4.3.2.1).
    """

    def __init__(self, operation: Operation, transcoder: Transcoder, peer: Peer | None) -> None:
        self.name = operation.association.origin.calling_ae_title
        contexts = [each for each in operation.association.contexts.values() if each.scp]
        self.forms = Forms(transcoder, contexts, peer, self.name)
        self._operation = operation

    @property
    def window(self) -> int:
        """See base: what was agreed with who asked."""
        return min(self._operation.window or _MOST, _MOST)

    async def send(self, item: Outgoing | Conversion) -> WaitForAnswer:
        """See base."""
        dataset = await item.dataset()
        wait = await self._operation.begin_c_store(
            self.forms.context_id(item),
            item.instance.identity.sop_class_uid,
            item.sop_instance_uid,
            dataset,
        )

        async def answer() -> Answer:
            return await wait(), ""

        return answer


class Remote(Destination):
    """A peer, on an association of this node's.

    Once the association has ended nothing more is taken.
    """

    def __init__(
        self,
        association: RequestedAssociation,
        transcoder: Transcoder,
        peer: Peer,
        priority: int = Priority.MEDIUM,
        move_originator: tuple[str, int] | None = None,
    ) -> None:
        self.name = str(peer)
        self.association = association
        contexts = [context for context in association.contexts.values() if context.scu]
        self.forms = Forms(transcoder, contexts, peer, self.name)
        self._priority = priority
        self._originator = move_originator
        self._most = peer.outstanding

    @property
    def window(self) -> int:
        """See base: what was agreed, as far as it is wanted."""
        return min(self.association.window or self._most, self._most)

    async def send(self, item: Outgoing | Conversion) -> WaitForAnswer:
        """See base."""
        dataset = await item.dataset()
        identity = item.instance.identity
        try:
            wait = await self.association.begin_c_store(
                identity.sop_class_uid,
                item.sop_instance_uid,
                dataset,
                context_id=self.forms.context_id(item),
                priority=self._priority,
                move_originator=self._originator,
            )
        except (AssociationError, OSError, TranscodingError) as error:
            # A dataset that breaks off takes its association with it.
            self._lose(identity.sop_instance_uid, error)
            return _settled(None)

        async def answer() -> Answer:
            try:
                response = await wait()
            except AssociationError as error:
                self._lose(identity.sop_instance_uid, error)
                return None
            status = Status.PROCESSING_FAILURE if response.status is None else response.status
            return status, response.error_comment or ""

        return answer

    def _lose(self, sop_instance_uid: str, error: Exception) -> None:
        self.reason = str(error)
        logger.warning("%s was not sent to %s: %s", sop_instance_uid, self.name, error)


class Unreachable(Destination):
    """A peer that no association can be made with: every instance fails."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason

    async def send(self, item: Outgoing | Conversion) -> WaitForAnswer:
        """Fail."""
        return _settled(None)


class NothingAllowed(Destination):
    """A peer of which the configuration says that it is sent no form of these instances."""

    def __init__(self, peer: Peer) -> None:
        self.name = str(peer)

    def refusal(self, instance: StoredInstance) -> str:
        """Take nothing."""
        return f"the configuration of {self.name} excludes every form there is"

    async def send(self, item: Outgoing | Conversion) -> WaitForAnswer:
        """Fail."""
        return _settled(None)


def _settled(result: T) -> Callable[[], Awaitable[T]]:
    """Return what waits for something that is there already."""

    async def wait() -> T:
        return result

    return wait
