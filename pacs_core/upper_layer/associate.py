"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC, and their encoding (PS3.8 §9.3.2 and §9.3.3)."""

from typing import Final

from attrs import field, frozen

from pacs_core.upper_layer.errors import AbortReason, LocalProtocolError
from pacs_core.upper_layer.items import (
    DICOM_APPLICATION_CONTEXT,
    IMPLICIT_VR_LITTLE_ENDIAN,
    ContextResult,
    ContextResultCode,
    ProposedContext,
    UserInformation,
)
from pacs_core.upper_layer.limits import Limits
from pacs_core.upper_layer.user_information import (
    USER_INFORMATION,
    decode_user_information,
    encode_user_information,
)
from pacs_core.upper_layer.wire import (
    AE_TITLE_LENGTH,
    ByteReader,
    pack_ae_title,
    pack_item,
    pack_uid,
    pack_uint,
)

# Theory of operation
#
# Both PDUs have one shape: fixed fields, then items in any order, of which those of unknown type
# are ignored (PS3.8 9.3.1). Items share one allowance of `max_associate_items`, which `ByteReader`
# counts down at every level. A PDU of items that hold items is thus bounded by their total, not by
# level.
#
# What a peer sends is judged as leniently as the standard permits, and what this node sends as
# strictly. AE titles in an A-ASSOCIATE-AC and transfer syntaxes of rejected contexts are not to be
# tested (PS3.8 9.3.3), so they are not. Contexts with wrong identifiers are rejected with the whole
# PDU, since no answer could name them.

_APPLICATION_CONTEXT: Final = 0x10
_PROPOSED_CONTEXT: Final = 0x20
_CONTEXT_RESULT: Final = 0x21
_ABSTRACT_SYNTAX: Final = 0x30
_TRANSFER_SYNTAX: Final = 0x40
_RESERVED_32 = bytes(32)


@frozen
class AssociateRQ:
    """A-ASSOCIATE-RQ PDU (PS3.8 §9.3.2). AE titles are without insignificant spaces."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[ProposedContext, ...]
    user_information: UserInformation = field(factory=UserInformation)
    application_context: str = DICOM_APPLICATION_CONTEXT
    protocol_version: int = 1


@frozen
class AssociateAC:
    """A-ASSOCIATE-AC PDU (PS3.8 §9.3.3). AE titles repeat the request's and mean nothing."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[ContextResult, ...]
    user_information: UserInformation = field(factory=UserInformation)
    application_context: str = DICOM_APPLICATION_CONTEXT
    protocol_version: int = 1


def encode_associate_rq(request: AssociateRQ) -> bytes:
    """Encode the body of an A-ASSOCIATE-RQ; raises LocalProtocolError."""
    _check_ids([context.id for context in request.presentation_contexts])
    if not request.presentation_contexts:
        raise LocalProtocolError("an A-ASSOCIATE-RQ must propose a presentation context")
    if not (request.called_ae_title.strip(" ") and request.calling_ae_title.strip(" ")):
        raise LocalProtocolError("an A-ASSOCIATE-RQ must name both application entities")
    return _pack_associate(request, b"".join(map(_pack_proposed, request.presentation_contexts)))


def encode_associate_ac(response: AssociateAC) -> bytes:
    """Encode the body of an A-ASSOCIATE-AC; raises LocalProtocolError."""
    _check_ids([context.id for context in response.presentation_contexts])
    return _pack_associate(response, b"".join(map(_pack_result, response.presentation_contexts)))


def _pack_associate(pdu: AssociateRQ | AssociateAC, contexts: bytes) -> bytes:
    return b"".join(
        (
            pack_uint(pdu.protocol_version, 2, "protocol version"),
            bytes(2),
            pack_ae_title(pdu.called_ae_title),
            pack_ae_title(pdu.calling_ae_title),
            _RESERVED_32,
            pack_item(_APPLICATION_CONTEXT, pack_uid(pdu.application_context)),
            contexts,
            encode_user_information(pdu.user_information),
        )
    )


def _pack_proposed(context: ProposedContext) -> bytes:
    transfer = (pack_item(_TRANSFER_SYNTAX, pack_uid(uid)) for uid in context.transfer_syntaxes)
    abstract = pack_item(_ABSTRACT_SYNTAX, pack_uid(context.abstract_syntax))
    return pack_item(
        _PROPOSED_CONTEXT, bytes((context.id, 0, 0, 0)) + abstract + b"".join(transfer)
    )


def _pack_result(context: ContextResult) -> bytes:
    # The item is mandatory even where its value means nothing: some peers reject its absence.
    uid = context.transfer_syntax or IMPLICIT_VR_LITTLE_ENDIAN
    return pack_item(
        _CONTEXT_RESULT,
        bytes((context.id, 0, context.result, 0)) + pack_item(_TRANSFER_SYNTAX, pack_uid(uid)),
    )


def _check_ids(ids: list[int]) -> None:
    problem = _context_id_problem(ids)
    if problem:
        raise LocalProtocolError(problem)


def _context_id_problem(ids: list[int]) -> str | None:
    """Say what is wrong with the identifiers: odd, 1 to 255, unique (PS3.8 §9.3.2.2)."""
    wrong = [context_id for context_id in ids if not (context_id & 1 and 0 < context_id < 256)]
    if wrong:
        return f"presentation context ID {wrong[0]} is not an odd number from 1 to 255"
    return None if len(set(ids)) == len(ids) else "presentation context IDs are not unique"


def decode_associate_rq(body: memoryview, limits: Limits) -> AssociateRQ:
    """Decode the body of an A-ASSOCIATE-RQ; raises MalformedPDU."""
    cursor = ByteReader(body, "A-ASSOCIATE-RQ", iter(range(limits.max_associate_items)))
    version = cursor.uint(2, "protocol version")
    cursor.take(2, "reserved field")
    called, calling = cursor.ae_title("called AE title"), cursor.ae_title("calling AE title")
    cursor.take(32, "reserved field")
    name, items, user = _variable_items(cursor, _PROPOSED_CONTEXT, limits)
    contexts = tuple(_decode_proposed(item, limits) for item in items)
    if not contexts:
        raise cursor.fault("no presentation context is proposed")
    _reject_bad_ids(cursor, [context.id for context in contexts])
    return AssociateRQ(called, calling, contexts, user, name, version)


def decode_associate_ac(body: memoryview, limits: Limits) -> AssociateAC:
    """Decode the body of an A-ASSOCIATE-AC; raises MalformedPDU."""
    cursor = ByteReader(body, "A-ASSOCIATE-AC", iter(range(limits.max_associate_items)))
    version = cursor.uint(2, "protocol version")
    if not version & 1:
        raise cursor.fault(f"protocol version {version:04X}H is not version 1")
    cursor.take(2, "reserved field")
    # The standard says not to test these; they are kept only to be shown.
    called, calling = (
        bytes(cursor.take(AE_TITLE_LENGTH, "reserved field"))
        .decode("ascii", "replace")
        .strip("\0 ")
        for _ in range(2)
    )
    cursor.take(32, "reserved field")
    name, items, user = _variable_items(cursor, _CONTEXT_RESULT, limits)
    contexts = tuple(_decode_result(item) for item in items)
    _reject_bad_ids(cursor, [context.id for context in contexts])
    return AssociateAC(called, calling, contexts, user, name, version)


def _variable_items(
    cursor: ByteReader, context_kind: int, limits: Limits
) -> tuple[str, list[ByteReader], UserInformation]:
    """Sort the variable items by type; unknown ones are ignored (PS3.8 §9.3.1)."""
    single: dict[int, ByteReader] = {}
    contexts: list[ByteReader] = []
    for kind, item in cursor.items():
        if kind == context_kind:
            contexts.append(item)
        elif kind in single:
            raise item.fault("appears twice", AbortReason.UNEXPECTED_PDU_PARAMETER)
        elif kind in (_APPLICATION_CONTEXT, USER_INFORMATION):
            single[kind] = item
    if len(contexts) > limits.max_presentation_contexts:
        raise cursor.fault(f"more than {limits.max_presentation_contexts} contexts")
    name = single.get(_APPLICATION_CONTEXT)
    user = single.get(USER_INFORMATION)
    return (
        name.uid(name.rest()) if name else "",
        contexts,
        decode_user_information(user) if user else UserInformation(),
    )


def _decode_proposed(item: ByteReader, limits: Limits) -> ProposedContext:
    context_id = item.uint(1, "presentation context ID")
    item.take(3, "reserved field")
    abstract: list[str] = []
    transfer: list[str] = []
    for kind, value in item.items():
        if kind == _ABSTRACT_SYNTAX:
            abstract.append(value.uid(value.rest()))
        elif kind == _TRANSFER_SYNTAX:
            transfer.append(value.uid(value.rest()))
    if len(abstract) != 1:
        raise item.fault(f"context {context_id} has {len(abstract)} abstract syntaxes, not 1")
    if not 1 <= len(transfer) <= limits.max_transfer_syntaxes_per_context:
        raise item.fault(
            f"context {context_id} has {len(transfer)} transfer syntaxes,"
            f" not 1 to {limits.max_transfer_syntaxes_per_context}"
        )
    return ProposedContext(context_id, abstract[0], tuple(transfer))


def _decode_result(item: ByteReader) -> ContextResult:
    context_id = item.uint(1, "presentation context ID")
    item.take(1, "reserved field")
    code = item.uint(1, "result")
    item.take(1, "reserved field")
    if code > max(ContextResultCode):
        raise item.fault(f"context {context_id} has the unknown result {code}")
    if code != ContextResultCode.ACCEPTANCE:
        return ContextResult(context_id, ContextResultCode(code))
    transfer = [v.uid(v.rest()) for kind, v in item.items() if kind == _TRANSFER_SYNTAX]
    if len(transfer) != 1:
        raise item.fault(f"context {context_id} has {len(transfer)} transfer syntaxes, not 1")
    return ContextResult(context_id, ContextResultCode.ACCEPTANCE, transfer[0])


def _reject_bad_ids(cursor: ByteReader, ids: list[int]) -> None:
    problem = _context_id_problem(ids)
    if problem:
        raise cursor.fault(problem)
