"""Faults in DIMSE: those to answer with a status, and those to abort over."""

from typing import TYPE_CHECKING

from pacs_core.dimse.status import describe

if TYPE_CHECKING:
    from pacs_core.dimse.commands import Command


class DimseError(Exception):
    """An operation failed, and this is the status to answer with (PS3.7 Annex C).

    Service providers raise it; the kernel turns it into the response.

    Parameters
    ----------
    status : int
        Value for Status (0000,0900).
    comment : str
        Value for Error Comment (0000,0902); cut to 64 characters when encoded.
    offending_element : tuple of int
        Tags for Offending Element (0000,0901).
    """

    def __init__(
        self, status: int, comment: str = "", offending_element: tuple[int, ...] = ()
    ) -> None:
        super().__init__(status, comment, offending_element)
        self.status = status
        self.comment = comment
        self.offending_element = offending_element

    def __str__(self) -> str:
        return f"{describe(self.status)}: {self.comment}" if self.comment else describe(self.status)


class InvalidArgument(DimseError):  # noqa: N818 (a name of the public contract)
    """A request can be read, but not accepted: answer it, the association may go on.

    Only requests are refused so. `command` holds what could be read of it, unusable values being
    None; its message ID and `has_dataset` are always sound.
    """

    def __init__(
        self, status: int, offending_element: tuple[int, ...], comment: str, command: "Command"
    ) -> None:
        super().__init__(status, comment, offending_element)
        self.args = (status, offending_element, comment, command)
        self.command = command


class DimseProtocolViolation(Exception):  # noqa: N818 (a name of the public contract)
    """The peer broke the rules of the message exchange: abort the association.

    Parameters
    ----------
    detail : str
        What was wrong and where, for the log.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class MalformedCommand(DimseProtocolViolation):
    """A command set that cannot be read, so that there is nothing to answer: abort."""
