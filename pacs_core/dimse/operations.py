"""Bookkeeping of the operations outstanding on one association (PS3.7 §9.1, §D.3.3.3)."""

from pacs_core.dimse.commands import Command
from pacs_core.dimse.errors import DimseError, DimseProtocolViolation
from pacs_core.dimse.fields import RESPONSE_BIT, CommandField
from pacs_core.dimse.status import Status, StatusCategory, category

# Theory of operation
#
# Both sides of an association keep account of requests that have no final response yet, by message
# ID. The one that invokes chooses IDs, ascending and wrapping at 65535, and skips those in use: an
# ID that was used for the longest time ago is the least likely to be confused by the peer. The one
# that performs refuses an ID that is in use (0210H), because a response could not be told apart.
#
# A pending status keeps an operation open; any other closes it. C-CANCEL is no operation: it marks
# one, and does nothing if that is over, as the two may cross on the wire.

_MAX_MESSAGE_ID = 0xFFFF


class InvokedOperations:
    """Operations this side has asked for and that await their final response.

    Parameters
    ----------
    window : int
        Maximum number of operations outstanding; 0 for no limit (PS3.7 §D.3.3.3).
    """

    def __init__(self, window: int = 1) -> None:
        self._window = window or _MAX_MESSAGE_ID
        self._outstanding: dict[int, CommandField] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._outstanding)

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._outstanding

    @property
    def is_full(self) -> bool:
        """Whether the window permits no further operation for now."""
        return len(self._outstanding) >= self._window

    def invoke(self, field: CommandField) -> int:
        """Account for a new operation and return the message ID for its request.

        Parameters
        ----------
        field : CommandField
            The request; not C-CANCEL-RQ, which is no operation.

        Returns
        -------
        int
            1 to 65535, used by no outstanding operation.

        Raises
        ------
        RuntimeError
            If `is_full`.
        """
        if self.is_full:
            raise RuntimeError(
                f"{len(self)} operations are outstanding, the window permits no more"
            )
        message_id = self._last_id
        while True:
            message_id = message_id % _MAX_MESSAGE_ID + 1
            if message_id not in self._outstanding:
                break
        self._outstanding[message_id] = field
        self._last_id = message_id
        return message_id

    def withdraw(self, message_id: int) -> None:
        """Forget an operation whose request was not sent; no response will come."""
        self._outstanding.pop(message_id, None)

    def settle(self, response: Command) -> bool:
        """Account for a response.

        Parameters
        ----------
        response : Command

        Returns
        -------
        bool
            Whether it is the final one: its status is not a pending one.

        Raises
        ------
        DimseProtocolViolation
            If it answers no outstanding operation, or one of another kind.
        """
        message_id = response.message_id_being_responded_to
        request = self._outstanding.get(message_id) if message_id is not None else None
        if message_id is None or request is None or response.field != request | RESPONSE_BIT:
            raise DimseProtocolViolation(
                f"{response.field.name} to message ID {message_id}, which is "
                + (f"a {request.name}" if request is not None else "not outstanding")
            )
        if response.status is not None and category(response.status) is StatusCategory.PENDING:
            return False
        del self._outstanding[message_id]
        return True


class RequestedOperations:
    """Operations the peer has asked for and that this side has not finished.

    Parameters
    ----------
    window : int
        Maximum number of operations outstanding, as negotiated; 0 for no limit (PS3.7 §D.3.3.3).
    """

    def __init__(self, window: int = 1) -> None:
        self._window = window or _MAX_MESSAGE_ID
        self._cancelled: dict[int, bool] = {}

    def __len__(self) -> int:
        return len(self._cancelled)

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._cancelled

    def begin(self, request: Command) -> int:
        """Account for a request, and return its message ID.

        Parameters
        ----------
        request : Command
            Any request but C-CANCEL-RQ.

        Returns
        -------
        int

        Raises
        ------
        DimseError
            With 0210H, if an operation with this message ID is outstanding (PS3.7 §C.5). Answer
            the request so; do not `finish` that ID on its account.
        DimseProtocolViolation
            If the peer exceeds the negotiated window.
        """
        message_id = request.message_id
        if message_id is None:
            raise ValueError(f"{request.field.name} has no message ID, so begins no operation")
        if message_id in self._cancelled:
            raise DimseError(
                Status.DUPLICATE_INVOCATION, f"Message ID {message_id} is in use", (0x00000110,)
            )
        if len(self) >= self._window:
            raise DimseProtocolViolation(
                f"{request.field.name} exceeds the window of {self._window} operations"
            )
        self._cancelled[message_id] = False
        return message_id

    def cancel(self, cancel_request: Command) -> bool:
        """Note a C-CANCEL-RQ.

        Parameters
        ----------
        cancel_request : Command

        Returns
        -------
        bool
            Whether it concerns an outstanding operation. If not, it came too late: ignore it.
        """
        message_id = cancel_request.message_id_being_responded_to
        if message_id is None or message_id not in self._cancelled:
            return False
        self._cancelled[message_id] = True
        return True

    def is_cancelled(self, message_id: int) -> bool:
        """Tell whether the outstanding operation `message_id` has been asked to stop."""
        return self._cancelled.get(message_id, False)

    def finish(self, message_id: int) -> None:
        """Account for the final response to `message_id`.

        Raises
        ------
        KeyError
            If it is not outstanding.
        """
        del self._cancelled[message_id]
