"""Fragments to messages (PS3.8 Annex E)."""

from typing import TYPE_CHECKING, Final

from attrs import frozen

from pacs_core.dimse.commands import Command
from pacs_core.dimse.errors import DimseProtocolViolation, InvalidArgument, MalformedCommand
from pacs_core.dimse.repetition import CommandDecoder

if TYPE_CHECKING:
    from pacs_core.upper_layer import PresentationDataValue

# Theory of operation
#
# PS3.8 Annex E allows one message at a time in each direction, whatever the presentation contexts.
# So the state is small: the context of the message under way, whether its command is complete, and
# the bytes of a command that is not. Datasets are handed on fragment by fragment and never kept.
#
# Whether a dataset follows is told by the command alone (0000,0800). If that cannot be read,
# nothing that follows can be placed, so it is a violation which ends the association. If only an
# argument is wrong, the command is still understood as far as an answer needs: it is reported with
# the error, and its dataset is to be discarded by whoever answers.

# Real command sets have some 200 bytes; only an Attribute Identifier List can make one large.
DEFAULT_MAX_COMMAND_LENGTH: Final = 64 * 1024


@frozen
class CommandReceived:
    """A command set is complete; if it `has_dataset`, `DatasetFragment` events follow."""

    context_id: int
    command: Command


@frozen
class CommandInvalid:
    """A request is to be answered with the status of `error`.

    If ``error.command.has_dataset``, its `DatasetFragment` events follow and are to be discarded.
    """

    context_id: int
    error: InvalidArgument


@frozen
class DatasetFragment:
    """A piece of the data set of the last command received, exactly as the PDV held it."""

    context_id: int
    data: bytes | memoryview
    is_last: bool


Event = CommandReceived | CommandInvalid | DatasetFragment


class MessageAssembler:
    """Turns the PDVs that arrive on one association into commands and data set fragments.

    There is one message at a time: its fragments share a presentation context and are not
    interleaved with those of another message, whatever the context (PS3.8 §E.1). So at most one
    command set is ever buffered; data sets are not buffered at all.

    Parameters
    ----------
    max_command_length : int
        Largest command set accepted, in bytes.
    """

    def __init__(self, max_command_length: int = DEFAULT_MAX_COMMAND_LENGTH) -> None:
        self._max_command_length = max_command_length
        self._context_id: int | None = None
        self._in_dataset = False
        self._command = bytearray()
        self._decoder = CommandDecoder()

    @property
    def is_idle(self) -> bool:
        """Whether the last message is complete and no other has begun."""
        return self._context_id is None

    def feed(self, pdv: "PresentationDataValue") -> tuple[Event, ...]:
        """Take the next PDV, return what it completes: one event, or none.

        Parameters
        ----------
        pdv : PresentationDataValue

        Returns
        -------
        tuple of CommandReceived, CommandInvalid or DatasetFragment

        Raises
        ------
        DimseProtocolViolation
            If the PDV has no place here, or the command set is too large or malformed
            (`MalformedCommand`). Abort the association; the assembler is of no further use.
        """
        self._check_place(pdv)
        if not pdv.is_command:
            if pdv.is_last:
                self._context_id, self._in_dataset = None, False
            return (DatasetFragment(pdv.context_id, pdv.data, pdv.is_last),)
        self._context_id = pdv.context_id
        if len(self._command) + len(pdv.data) > self._max_command_length:
            raise MalformedCommand(
                f"command set of more than {self._max_command_length} bytes "
                f"in presentation context {pdv.context_id}"
            )
        if not pdv.is_last:
            self._command += pdv.data
            return ()
        return (self._finish_command(pdv),)

    def _check_place(self, pdv: "PresentationDataValue") -> None:
        if self._context_id is not None and pdv.context_id != self._context_id:
            raise DimseProtocolViolation(
                f"fragment in presentation context {pdv.context_id} within a message "
                f"of presentation context {self._context_id} (PS3.8 §E.1)"
            )
        if pdv.is_command and self._in_dataset:
            raise DimseProtocolViolation(
                f"command fragment in presentation context {pdv.context_id} "
                "before the data set of the last command is complete (PS3.8 §E.1)"
            )
        if not pdv.is_command and not self._in_dataset:
            raise DimseProtocolViolation(
                f"data set fragment in presentation context {pdv.context_id} "
                "without a complete command that announces it (PS3.8 §E.1)"
            )

    def _finish_command(self, pdv: "PresentationDataValue") -> CommandReceived | CommandInvalid:
        encoded: bytes | bytearray | memoryview = pdv.data
        if self._command:
            encoded, self._command = self._command + pdv.data, bytearray()
        event: CommandReceived | CommandInvalid
        try:
            command = self._decoder.decode(encoded)
            event = CommandReceived(pdv.context_id, command)
        except InvalidArgument as error:
            command = error.command
            event = CommandInvalid(pdv.context_id, error)
        if command.has_dataset:
            self._in_dataset = True
        else:
            self._context_id = None
        return event
