"""Encoding of the user information item and its sub-items (PS3.8 §9.3.2.3, PS3.7 §D.3.3)."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pacs_core.upper_layer.errors import AbortReason, LocalProtocolError
from pacs_core.upper_layer.items import (
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from pacs_core.upper_layer.wire import ByteReader, pack_counted, pack_item, pack_uid, pack_uint

USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS_UID = 0x52
_ASYNCHRONOUS_OPERATIONS = 0x53
_ROLE = 0x54
_IMPLEMENTATION_VERSION_NAME = 0x55
_EXTENDED = 0x56
_COMMON_EXTENDED = 0x57
_USER_IDENTITY = 0x58
_USER_IDENTITY_RESPONSE = 0x59

_VERSION_NAME_LENGTH = 16


def _asynchronous_operations(item: ByteReader) -> AsynchronousOperations:
    return AsynchronousOperations(
        item.uint(2, "maximum operations invoked"), item.uint(2, "maximum operations performed")
    )


def _role(item: ByteReader) -> RoleSelection:
    uid = item.uid(item.read_counted("SOP class UID"))
    return RoleSelection(uid, item.uint(1, "SCU role") == 1, item.uint(1, "SCP role") == 1)


def _extended_negotiation(item: ByteReader) -> ExtendedNegotiation:
    uid = item.uid(item.read_counted("SOP class UID"))
    return ExtendedNegotiation(uid, bytes(item.rest()))


def _common_extended(item: ByteReader) -> CommonExtendedNegotiation:
    sop_class = item.uid(item.read_counted("SOP class UID"))
    service_class = item.uid(item.read_counted("service class UID"))
    related = item.part("related general SOP classes")
    return CommonExtendedNegotiation(
        sop_class, service_class, tuple(related.uid(value) for value in related.all_counted("UID"))
    )


def _user_identity(item: ByteReader) -> UserIdentity:
    return UserIdentity(
        type=item.uint(1, "user identity type"),
        positive_response_requested=item.uint(1, "positive response requested") == 1,
        primary=bytes(item.read_counted("primary field")),
        secondary=bytes(item.read_counted("secondary field")),
    )


_SINGLE: Mapping[int, tuple[str, Callable[[ByteReader], Any]]] = {
    _MAXIMUM_LENGTH: ("maximum_length", lambda item: item.uint(4, "maximum length received")),
    # Nothing depends on it, and peers send it empty.
    _IMPLEMENTATION_CLASS_UID: (
        "implementation_class_uid",
        lambda item: item.optional_uid(item.rest()),
    ),
    _IMPLEMENTATION_VERSION_NAME: (
        "implementation_version_name",
        lambda item: bytes(item.rest()).decode("ascii", "replace").strip("\0 "),
    ),
    _ASYNCHRONOUS_OPERATIONS: ("asynchronous_operations", _asynchronous_operations),
    _USER_IDENTITY: ("user_identity", _user_identity),
    _USER_IDENTITY_RESPONSE: (
        "user_identity_response",
        lambda item: bytes(item.read_counted("server response")),
    ),
}
_REPEATED: Mapping[int, tuple[str, Callable[[ByteReader], Any]]] = {
    _ROLE: ("roles", _role),
    _EXTENDED: ("extended", _extended_negotiation),
    _COMMON_EXTENDED: ("common_extended", _common_extended),
}


def decode_user_information(item: ByteReader) -> UserInformation:
    """Decode the value of a user information item; unknown sub-items are ignored."""
    fields: dict[str, Any] = {}
    repeated: dict[str, list[Any]] = defaultdict(list)
    for kind, value in item.items():
        if kind in _REPEATED:
            name, decode = _REPEATED[kind]
            repeated[name].append(decode(value))
        elif kind in _SINGLE:
            name, decode = _SINGLE[kind]
            if name in fields:
                raise value.fault("appears twice", AbortReason.UNEXPECTED_PDU_PARAMETER)
            fields[name] = decode(value)
    fields.update({name: tuple(values) for name, values in repeated.items()})
    return UserInformation(**fields)


def encode_user_information(user: UserInformation) -> bytes:
    """Encode a user information item with its header."""
    return pack_item(USER_INFORMATION, b"".join(_sub_items(user)))


def _sub_items(user: UserInformation) -> Iterator[bytes]:
    yield pack_item(_MAXIMUM_LENGTH, pack_uint(user.maximum_length, 4, "maximum length"))
    if user.implementation_class_uid:
        yield pack_item(_IMPLEMENTATION_CLASS_UID, pack_uid(user.implementation_class_uid))
    if (window := user.asynchronous_operations) is not None:
        yield pack_item(
            _ASYNCHRONOUS_OPERATIONS,
            pack_uint(window.max_invoked, 2, "maximum operations invoked")
            + pack_uint(window.max_performed, 2, "maximum operations performed"),
        )
    for role in user.roles:
        flags = bytes((role.scu, role.scp))
        yield pack_item(_ROLE, _pack_counted_uid(role.sop_class_uid) + flags)
    if user.implementation_version_name:
        name = user.implementation_version_name
        if not name.isascii() or len(name) > _VERSION_NAME_LENGTH:
            raise LocalProtocolError(
                f"implementation version name {name!r} is not 16 or fewer ASCII characters"
            )
        yield pack_item(_IMPLEMENTATION_VERSION_NAME, name.encode("ascii"))
    for extended in user.extended:
        uid = _pack_counted_uid(extended.sop_class_uid)
        yield pack_item(_EXTENDED, uid + extended.application_information)
    for common in user.common_extended:
        yield pack_item(_COMMON_EXTENDED, _pack_common_extended(common))
    if (identity := user.user_identity) is not None:
        yield pack_item(
            _USER_IDENTITY,
            pack_uint(identity.type, 1, "user identity type")
            + bytes((identity.positive_response_requested,))
            + pack_counted(identity.primary, "primary field")
            + pack_counted(identity.secondary, "secondary field"),
        )
    if user.user_identity_response is not None:
        response = pack_counted(user.user_identity_response, "server response")
        yield pack_item(_USER_IDENTITY_RESPONSE, response)


def _pack_counted_uid(uid: str) -> bytes:
    return pack_counted(pack_uid(uid), "UID")


def _pack_common_extended(common: CommonExtendedNegotiation) -> bytes:
    related = b"".join(_pack_counted_uid(uid) for uid in common.related_general_sop_class_uids)
    return (
        _pack_counted_uid(common.sop_class_uid)
        + _pack_counted_uid(common.service_class_uid)
        + pack_counted(related, "related general SOP classes")
    )
