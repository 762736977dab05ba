"""Repetition of command sets: what a sender of many instances says again and again."""

from functools import lru_cache
from struct import Struct
from typing import Final

from attrs import frozen

from pacs_core.dimse.commands import Command, decode_command
from pacs_core.dimse.fields import NO_DATASET, WITH_DATASET, CommandField
from pacs_core.dimse.values import decode_ui, encode_ae, encode_ui, encode_us

# Theory of operation
#
# A C-STORE-RQ differs from the one before it on its association in two values: the message ID and
# the Affected SOP Instance UID. So what has been decoded once need not be taken apart again: where
# all other bytes are the same, headers and lengths included, so is all that they mean. Whatever
# does not repeat, or is wrong, goes the long way, which also says what is wrong with it.
#
# Its response differs in the same two values, and in the status. A C-ECHO is the same without an
# instance. Responses are repetitions for who has sent the requests, as long as all goes well.

_HEADER: Final = Struct("<HHL")
_REQUESTS: Final = (CommandField.C_STORE_RQ, CommandField.C_ECHO_RQ)
_RESPONSES: Final = (CommandField.C_STORE_RSP, CommandField.C_ECHO_RSP)
_INSTANCE: Final = 0x1000


def _repeats(command: Command) -> bool:
    """Tell whether others are likely to differ in message ID and instance only."""
    if command.field in _REQUESTS:
        return bool(command.message_id)
    return command.field in _RESPONSES and not (command.error_comment or command.offending_element)


@frozen
class _Pattern:
    """A command set, and its bytes without message ID and Affected SOP Instance UID."""

    command: Command
    before: bytes
    between: bytes
    after: bytes
    size: int

    @classmethod
    def of(cls, command: Command, data: bytes) -> "_Pattern | None":
        places: dict[int, tuple[int, int]] = {}
        offset = 0
        while offset < len(data):
            _, number, length = _HEADER.unpack_from(data, offset)
            places[number] = (offset + 8, offset + 8 + length)
            offset += 8 + length
        if (_INSTANCE in places) != bool(command.affected_sop_instance_uid):
            return None
        begin, end = places[0x0120 if command.is_response else 0x0110]
        uid_begin, uid_end = places.get(_INSTANCE, (len(data), len(data)))
        return cls(command, data[:begin], data[end:uid_begin], data[uid_end:], len(data))

    def match(self, data: bytes) -> Command | None:
        """Return the command that `data` is, if it repeats this one."""
        begin = len(self.before)
        uid_begin, uid_end = begin + 2 + len(self.between), self.size - len(self.after)
        if (
            len(data) != self.size
            or not data.startswith(self.before)
            or data[begin + 2 : uid_begin] != self.between
            or data[uid_end:] != self.after
        ):
            return None
        try:
            uid = decode_ui(data[uid_begin:uid_end])
        except ValueError:
            return None
        known = self.command
        if (uid is None) != (known.affected_sop_instance_uid is None):
            return None
        number = int.from_bytes(data[begin : begin + 2], "little")
        if known.is_response:
            return Command(
                field=known.field,
                message_id_being_responded_to=number,
                affected_sop_class_uid=known.affected_sop_class_uid,
                affected_sop_instance_uid=uid,
                status=known.status,
                has_dataset=known.has_dataset,
            )
        return Command(
            field=known.field,
            message_id=number,
            affected_sop_class_uid=known.affected_sop_class_uid,
            affected_sop_instance_uid=uid,
            priority=known.priority,
            move_originator_application_entity_title=known.move_originator_application_entity_title,
            move_originator_message_id=known.move_originator_message_id,
            has_dataset=known.has_dataset,
        )


class CommandDecoder:
    """Decodes the command sets that arrive on one association."""

    def __init__(self) -> None:
        self._pattern: _Pattern | None = None

    def decode(self, data: bytes | bytearray | memoryview) -> Command:
        """Decode a complete command set, see :func:`decode_command`."""
        encoded = bytes(data)
        if self._pattern is not None:
            command = self._pattern.match(encoded)
            if command is not None:
                return command
        command = decode_command(encoded)
        if _repeats(command):
            self._pattern = _Pattern.of(command, encoded)
        return command


_STATUS: Final = Struct("<HHLHHHLHHHLH")  # message ID being responded to, data set type, status


@lru_cache(maxsize=64)
def _beginning(field: CommandField, sop_class_uid: str) -> bytes:
    return _element(0x0002, encode_ui(sop_class_uid)) + _element(
        0x0100, field.to_bytes(2, "little")
    )


@lru_cache(maxsize=4)
def _after_message_id(priority: int) -> bytes:
    return _element(0x0700, encode_us(priority)) + _element(0x0800, encode_us(WITH_DATASET))


@lru_cache(maxsize=64)
def _move_originator(ae_title: str | None, message_id: int | None) -> bytes:
    title = b"" if ae_title is None else _element(0x1030, encode_ae(ae_title))
    return title + (b"" if message_id is None else _element(0x1031, encode_us(message_id)))


def _element(number: int, value: bytes) -> bytes:
    return _HEADER.pack(0, number, len(value)) + value


def _with_group_length(body: bytes) -> bytes:
    return _HEADER.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


def encode_store(request: Command, message_id: int) -> bytes:
    """Encode a C-STORE-RQ under a message ID (PS3.7 §9.3.1.1).

    Raises
    ------
    ValueError
        It names no valid SOP class and instance, or has another value that cannot be encoded.
    """
    priority = request.priority
    if priority is None or not request.has_dataset:
        raise ValueError("C-STORE-RQ needs priority and data set")
    body = b"".join(
        [
            _beginning(request.field, request.affected_sop_class_uid or ""),
            _element(0x0110, encode_us(message_id)),
            _after_message_id(priority),
            _element(_INSTANCE, encode_ui(request.affected_sop_instance_uid or "")),
            _move_originator(
                request.move_originator_application_entity_title,
                request.move_originator_message_id,
            ),
        ]
    )
    return _with_group_length(body)


def encode_status(request: Command, status: int) -> bytes:
    """Encode the response to a C-STORE or C-ECHO that has a status and nothing else.

    See PS3.7 §9.3.1.2 and §9.3.5.2.

    Raises
    ------
    ValueError
        The request names no valid SOP class and instance, or the status is none.
    """
    message_id = request.message_id
    if message_id is None or not 0 <= status <= 0xFFFF:
        raise ValueError(f"no response to message {message_id} with status {status}")
    instance = b""
    if request.field is CommandField.C_STORE_RQ:
        instance = _element(_INSTANCE, encode_ui(request.affected_sop_instance_uid or ""))
    body = b"".join(
        [
            _beginning(request.response_field, request.affected_sop_class_uid or ""),
            _STATUS.pack(0, 0x0120, 2, message_id, 0, 0x0800, 2, NO_DATASET, 0, 0x0900, 2, status),
            instance,
        ]
    )
    return _with_group_length(body)
