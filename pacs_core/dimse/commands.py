"""Command sets: one value class, and its encoding (PS3.7 §6.3, §9.3, §10.3, Annex E)."""

from operator import attrgetter
from struct import Struct
from typing import Any, Final

from attrs import frozen

from pacs_core.dimse.errors import InvalidArgument, MalformedCommand
from pacs_core.dimse.fields import (
    COMMAND_FIELD,
    DATASET_TYPE,
    GROUP_LENGTH,
    LAYOUTS,
    NO_DATASET,
    RESPONSE_BIT,
    WITH_DATASET,
    CommandField,
    DatasetRule,
    Element,
)
from pacs_core.dimse.status import Status
from pacs_core.dimse.values import DECODERS, ENCODERS, encode_us

# Theory of operation
#
# A command set that arrives is taken in two steps, because two things may be wrong with it. What is
# wrong with its structure, or leaves no message ID to answer, raises `MalformedCommand`, which ends
# the association. What is wrong with an argument raises `InvalidArgument`, which carries the
# response: the peer is told which element it was, and the association goes on.
#
# Responses are judged mildly. Nobody answers a response, so that an optional element in it which
# cannot be used is dropped; only what makes it a response, to which request and with which status,
# is needed.
#
# Which elements a kind of message has is a table (`fields.LAYOUTS`). For both directions it is
# unfolded once into tuples of number, attribute and converter, in the order of the wire, so that
# neither loop looks anything up.

_HEADER: Final = Struct("<HHL")
_GROUP_LENGTH_ELEMENT: Final = Struct("<HHLL")

# Senders are known that count the group length element itself or forget padding bytes. The PDVs
# delimit the command set anyway; more than this apart, bytes were lost or added.
_GROUP_LENGTH_TOLERANCE: Final = _GROUP_LENGTH_ELEMENT.size

_FIELDS: Final[dict[int, CommandField]] = {int(field): field for field in CommandField}

# The layouts in the form that the two loops of the codec want: number, attribute, converter.


def _encode_dataset_type(has_dataset: bool) -> bytes:
    return encode_us(WITH_DATASET if has_dataset else NO_DATASET)


# When encoding, command field and data set type take their places among the rest.
_FIELD_ELEMENT: Final = Element(COMMAND_FIELD, "field", "US")
_DATASET_ELEMENT: Final = Element(DATASET_TYPE, "has_dataset", "data set type")
_ENCODERS: Final = {
    **ENCODERS,
    _DATASET_ELEMENT.vr: _encode_dataset_type,
}
_ENCODINGS: Final = {
    field: tuple(
        (e.number, e.attribute, _ENCODERS[e.vr])
        for e in sorted(
            (*layout.permitted, _FIELD_ELEMENT, _DATASET_ELEMENT), key=attrgetter("number")
        )
    )
    for field, layout in LAYOUTS.items()
}
_DECODINGS: Final = {
    field: tuple((e.number, e.attribute, DECODERS[e.vr]) for e in layout.permitted)
    for field, layout in LAYOUTS.items()
}


@frozen(kw_only=True)
class Command:
    """A DIMSE command set (PS3.7 §9.3, §10.3).

    Attributes bear the names of the elements of PS3.7 Table E.1-1. None, or an empty tuple, stands
    for an absent element. Strings are without padding, tags have their group in the upper 16 bits.
    """

    field: CommandField
    message_id: int | None = None
    message_id_being_responded_to: int | None = None
    affected_sop_class_uid: str | None = None
    requested_sop_class_uid: str | None = None
    affected_sop_instance_uid: str | None = None
    requested_sop_instance_uid: str | None = None
    priority: int | None = None
    move_destination: str | None = None
    move_originator_application_entity_title: str | None = None
    move_originator_message_id: int | None = None
    event_type_id: int | None = None
    action_type_id: int | None = None
    attribute_identifier_list: tuple[int, ...] = ()
    status: int | None = None
    offending_element: tuple[int, ...] = ()
    error_comment: str | None = None
    error_id: int | None = None
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    has_dataset: bool = False

    @property
    def is_response(self) -> bool:
        """Whether this answers a request of the other side."""
        return bool(self.field & RESPONSE_BIT)

    @property
    def is_request(self) -> bool:
        """Whether this asks the other side for something; C-CANCEL-RQ counts as such."""
        return not self.is_response

    @property
    def response_field(self) -> CommandField:
        """Command field of the response to this request.

        Raises
        ------
        ValueError
            For a response, and for C-CANCEL-RQ, which has none (PS3.7 §9.3.2.3).
        """
        if self.is_response or self.field is CommandField.C_CANCEL_RQ:
            raise ValueError(f"{self.field.name} has no response")
        return _FIELDS[self.field | RESPONSE_BIT]

    @property
    def sop_class_uid(self) -> str | None:
        """Affected or Requested SOP Class UID, whichever this kind of message has."""
        return self.affected_sop_class_uid or self.requested_sop_class_uid

    @property
    def sop_instance_uid(self) -> str | None:
        """Affected or Requested SOP Instance UID, whichever this kind of message has."""
        return self.affected_sop_instance_uid or self.requested_sop_instance_uid


def encode_command(command: Command) -> bytes:
    """Encode a command set: implicit VR little endian, group length first (PS3.7 §6.3.1).

    Attributes that this kind of message does not have (PS3.7 §9.3, §10.3) are left out, so that
    one may fill in, say, `offending_element` without regard to the kind.

    Parameters
    ----------
    command : Command

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If a mandatory element is absent, a value does not fit its VR, or `has_dataset` contradicts
        the kind of message.
    """
    layout = LAYOUTS[command.field]
    for element in layout.mandatory:
        if getattr(command, element.attribute) is None:
            raise ValueError(f"{command.field.name} needs {element.attribute}")
    if _contradicts(layout.dataset, command.has_dataset):
        raise ValueError(f"in {command.field.name} a data set is {layout.dataset.value}")
    parts: list[bytes] = []
    for number, attribute, encode in _ENCODINGS[command.field]:
        value = getattr(command, attribute)
        if value is not None and value != ():
            raw = encode(value)
            parts.append(_HEADER.pack(0, number, len(raw)))
            parts.append(raw)
    body = b"".join(parts)
    return _GROUP_LENGTH_ELEMENT.pack(0, GROUP_LENGTH, 4, len(body)) + body


def decode_command(data: bytes | bytearray | memoryview) -> Command:
    """Decode a complete command set (PS3.7 §6.3.1).

    Elements that are unknown, retired, or foreign to this kind of message are skipped, and so are
    unusable optional elements of a response, since there is nobody to answer.

    Parameters
    ----------
    data : bytes, bytearray or memoryview

    Returns
    -------
    Command

    Raises
    ------
    MalformedCommand
        If the association is past saving: the bytes are no command set, or command field, data set
        type, message ID, or in a response the status, are absent or unusable.
    InvalidArgument
        If a request can be answered but not accepted.
    """
    found = _walk(bytes(data))
    field = _command_field(found)
    values: dict[str, Any] = {}
    mistyped: set[int] = set()
    for number, attribute, decode in _DECODINGS[field]:
        raw = found.get(number)
        if raw is not None:
            try:
                values[attribute] = decode(raw)
            except ValueError:
                mistyped.add(number)
    command = Command(field=field, has_dataset=_has_dataset(found), **values)
    _validate(command, mistyped)
    return command


def _walk(data: bytes) -> dict[int, bytes]:
    """Return the value fields by element number, having checked the structure."""
    found: dict[int, bytes] = {}
    end, offset, previous = len(data), 0, -1
    while offset < end:
        start = offset + 8
        if start > end:
            raise MalformedCommand(f"command set ends within an element header at byte {offset}")
        group, number, length = _HEADER.unpack_from(data, offset)
        if group != 0 or number <= previous:
            raise MalformedCommand(
                f"element ({group:04X},{number:04X}) at byte {offset} of the command set: "
                "its elements are of group 0000, each once, in ascending order (PS3.7 §6.3.1)"
            )
        offset = start + length
        if offset > end:
            raise MalformedCommand(
                f"element (0000,{number:04X}) of {length} bytes exceeds the command set"
            )
        found[number] = data[start:offset]
        previous = number
    _check_group_length(found, end)
    return found


def _check_group_length(found: dict[int, bytes], size: int) -> None:
    declared = found.get(GROUP_LENGTH)
    if declared is None:
        return
    actual = size - _GROUP_LENGTH_ELEMENT.size
    if len(declared) != 4 or (
        abs(int.from_bytes(declared, "little") - actual) > _GROUP_LENGTH_TOLERANCE
    ):
        raise MalformedCommand(
            f"command group length {declared[:8].hex()} (hex, little endian), "
            f"but {actual} bytes follow"
        )


def _command_field(found: dict[int, bytes]) -> CommandField:
    raw = found.get(COMMAND_FIELD, b"")
    field = _FIELDS.get(int.from_bytes(raw, "little")) if len(raw) == 2 else None
    if field is None:
        raise MalformedCommand(f"command field {raw[:8].hex()!r} (hex) is none of PS3.7 §E.1")
    return field


def _has_dataset(found: dict[int, bytes]) -> bool:
    raw = found.get(DATASET_TYPE, b"")
    if len(raw) != 2:
        raise MalformedCommand("no usable Command Data Set Type (0000,0800)")
    return int.from_bytes(raw, "little") != NO_DATASET


def _contradicts(rule: DatasetRule, has_dataset: bool) -> bool:
    return rule is (DatasetRule.FORBIDDEN if has_dataset else DatasetRule.REQUIRED)


def _validate(command: Command, mistyped: set[int]) -> None:
    layout = LAYOUTS[command.field]
    missing = [e for e in layout.mandatory if getattr(command, e.attribute) is None]
    # Without these there is nothing to match a message by, so nothing to answer.
    if missing and (
        command.is_response or any(e.attribute.startswith("message_id") for e in missing)
    ):
        names = ", ".join(e.attribute for e in missing)
        raise MalformedCommand(f"{command.field.name} without a usable {names}")
    if command.is_response or command.field is CommandField.C_CANCEL_RQ:
        return
    offending = mistyped.union(e.number for e in missing)
    if _contradicts(layout.dataset, command.has_dataset):
        offending.add(DATASET_TYPE)
    if offending:
        raise _invalid_argument(command, sorted(offending), mistyped)


def _invalid_argument(
    command: Command, offending: list[int], mistyped: set[int]
) -> InvalidArgument:
    statuses = _statuses_of_unusable(command.field)
    status = next((statuses[n] for n in offending if n in mistyped and n in statuses), None)
    return InvalidArgument(
        status=Status.MISTYPED_ARGUMENT if status is None else status,
        offending_element=tuple(offending),
        comment="Missing or unusable " + " ".join(f"(0000,{n:04X})" for n in offending),
        command=command,
    )


def _statuses_of_unusable(field: CommandField) -> dict[int, Status]:
    """Return the statuses that are more telling than Mistyped Argument, by element number.

    The DIMSE-C services know no 0118H; theirs is 0122H (PS3.7 §9.1.1.1.9).
    """
    is_dimse_c = field.name.startswith("C_")
    sop_class = Status.SOP_CLASS_NOT_SUPPORTED if is_dimse_c else Status.NO_SUCH_SOP_CLASS
    return {
        0x0002: sop_class,
        0x0003: sop_class,
        0x1000: Status.INVALID_SOP_INSTANCE,
        0x1001: Status.INVALID_SOP_INSTANCE,
    }
