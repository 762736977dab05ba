"""PDUs byte by byte as PS3.8 §9.3 and PS3.7 Annex D describe them, and by property."""

import string

import pytest
from hypothesis import given, strategies as st

from pacs_core.upper_layer import (
    Abort,
    AbortReason,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ContextResult,
    ContextResultCode,
    ExtendedNegotiation,
    Limits,
    LocalProtocolError,
    MalformedPDU,
    PDataTF,
    PresentationDataValue,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    RoleSelection,
    UserIdentity,
    UserInformation,
    decode,
    encode,
)

uids = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,5}){0,9}", fullmatch=True)
titles = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=16)
blobs = st.binary(max_size=60)
byte = st.integers(0, 255)
odd = st.integers(0, 127).map(lambda n: 2 * n + 1)
two_bytes = st.integers(0, 0xFFFF)
common = {
    "maximum_length": st.integers(0, 0xFFFFFFFF),
    "implementation_class_uid": uids,
    "implementation_version_name": st.just("") | titles,
    "asynchronous_operations": st.none() | st.builds(AsynchronousOperations, two_bytes, two_bytes),
    "roles": st.lists(st.builds(RoleSelection, uids, st.booleans(), st.booleans()), max_size=3).map(
        tuple
    ),
    "extended": st.lists(st.builds(ExtendedNegotiation, uids, blobs), max_size=3).map(tuple),
}
commons = st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple))
identities = st.builds(UserIdentity, byte, st.booleans(), blobs, blobs)
rq_users = st.builds(
    UserInformation,
    **common,
    common_extended=st.lists(commons, max_size=3).map(tuple),
    user_identity=st.none() | identities,
)
ac_users = st.builds(UserInformation, **common, user_identity_response=st.none() | blobs)
proposed = st.builds(ProposedContext, odd, uids, st.lists(uids, min_size=1, max_size=4).map(tuple))
refusals = st.sampled_from([code for code in ContextResultCode if code])
results = st.builds(ContextResult, odd, st.just(ContextResultCode.ACCEPTANCE), uids) | st.builds(
    ContextResult, odd, refusals
)


def unique(contexts, min_size):
    return st.lists(contexts, min_size=min_size, max_size=6, unique_by=lambda c: c.id).map(tuple)


versions = two_bytes.map(lambda n: n | 1)
pdvs = st.builds(PresentationDataValue, odd, st.booleans(), st.booleans(), blobs)
pdus = st.one_of(
    st.builds(AssociateRQ, titles, titles, unique(proposed, 1), rq_users, uids, versions),
    st.builds(AssociateAC, titles, titles, unique(results, 0), ac_users, uids, versions),
    st.builds(AssociateRJ, byte, byte, byte),
    st.builds(PDataTF, st.lists(pdvs, min_size=1, max_size=5).map(tuple)),
    st.just(ReleaseRQ()),
    st.just(ReleaseRP()),
    st.builds(Abort, byte, byte),
)


@given(pdus)
def test_what_is_encoded_is_decoded(pdu):
    assert decode(encode(pdu)) == pdu


@given(pdus, st.data())
def test_damage_is_malformed_or_harmless(pdu, data):
    encoded = bytearray(encode(pdu))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(6, len(encoded) - 1))] = data.draw(byte)
    try:
        decode(bytes(encoded))
    except MalformedPDU as error:
        assert error.reason in AbortReason  # noqa: PT017


@given(pdus, st.data())
def test_a_pdu_cut_short_is_malformed(pdu, data):
    encoded = encode(pdu)
    with pytest.raises(MalformedPDU):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def title(text):
    return text.ljust(16).encode()


UID = b"1.2.840.10008.1.1"
USER_INFORMATION_HEX = (
    "50 00 005f"
    "51 00 0004 00004000"  # maximum length 16384
    "52 00 0005 312e322e33"  # implementation class UID 1.2.3
    "53 00 0004 0005 0002"  # invoke 5, perform 2
    "54 00 0007 0003 312e32 01 00"  # role: 1.2, SCU, not SCP
    "55 00 0004 50414353"  # version name PACS
    "56 00 0007 0003 312e32 01 02"  # extended: 1.2, 01 02
    "57 00 0014 0003 312e32 0003 312e33 0008 0002 3134 0002 3135"
    "58 00 000c 02 01 0003 616e6e 0003 736563"  # username ann, passcode sec
)
REQUEST = AssociateRQ(
    "ARCHIVE",
    "CT1",
    (ProposedContext(1, UID.decode(), ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")),),
    UserInformation(
        maximum_length=16384,
        implementation_class_uid="1.2.3",
        implementation_version_name="PACS",
        asynchronous_operations=AsynchronousOperations(5, 2),
        roles=(RoleSelection("1.2", True, False),),
        extended=(ExtendedNegotiation("1.2", b"\x01\x02"),),
        common_extended=(CommonExtendedNegotiation("1.2", "1.3", ("14", "15")),),
        user_identity=UserIdentity(2, True, b"ann", b"sec"),
    ),
)
APPLICATION_CONTEXT = bytes.fromhex("10 00 0015") + b"1.2.840.10008.3.1.1.1"
REQUEST_BODY = (
    bytes.fromhex("0001 0000")
    + title("ARCHIVE")
    + title("CT1")
    + bytes(32)
    + APPLICATION_CONTEXT
    + bytes.fromhex("20 00 0045 01 00 00 00")
    + bytes.fromhex("30 00 0011")
    + UID
    + bytes.fromhex("40 00 0011")
    + b"1.2.840.10008.1.2"
    + bytes.fromhex("40 00 0013")
    + b"1.2.840.10008.1.2.1"
    + bytes.fromhex(USER_INFORMATION_HEX)
)
RESPONSE = AssociateAC(
    "ARCHIVE",
    "CT1",
    (
        ContextResult(1, ContextResultCode.ACCEPTANCE, "1.2.840.10008.1.2.1"),
        ContextResult(3, ContextResultCode.ABSTRACT_SYNTAX_NOT_SUPPORTED),
    ),
    UserInformation(0, "1.2.3", user_identity_response=b"ok"),
)
RESPONSE_BODY = (
    bytes.fromhex("0001 0000")
    + title("ARCHIVE")
    + title("CT1")
    + bytes(32)
    + APPLICATION_CONTEXT
    + bytes.fromhex("21 00 001b 01 00 00 00 40 00 0013")
    + b"1.2.840.10008.1.2.1"
    + bytes.fromhex("21 00 0019 03 00 03 00 40 00 0011")
    + b"1.2.840.10008.1.2"
    + bytes.fromhex("50 00 0019 51 00 0004 00000000 52 00 0005 312e322e33 59 00 0004 0002 6f6b")
)


def with_header(kind, body):
    return bytes((kind, 0)) + len(body).to_bytes(4, "big") + body


EXAMPLES = {
    "A-ASSOCIATE-RQ §9.3.2": (REQUEST, with_header(1, REQUEST_BODY)),
    "A-ASSOCIATE-AC §9.3.3": (RESPONSE, with_header(2, RESPONSE_BODY)),
    "A-ASSOCIATE-RJ §9.3.4": (AssociateRJ(2, 3, 1), bytes.fromhex("03 00 00000004 00 02 03 01")),
    "P-DATA-TF §9.3.5": (
        PDataTF(
            (
                PresentationDataValue(3, True, True, b"\x01\x02"),
                PresentationDataValue(5, False, False, b""),
            )
        ),
        bytes.fromhex("04 00 0000000e 00000004 03 03 0102 00000002 05 00"),
    ),
    "A-RELEASE-RQ §9.3.6": (ReleaseRQ(), bytes.fromhex("05 00 00000004 00000000")),
    "A-RELEASE-RP §9.3.7": (ReleaseRP(), bytes.fromhex("06 00 00000004 00000000")),
    "A-ABORT §9.3.8": (Abort(2, 6), bytes.fromhex("07 00 00000004 0000 02 06")),
}


@pytest.mark.parametrize(("pdu", "encoded"), EXAMPLES.values(), ids=EXAMPLES)
def test_the_standards_layout(pdu, encoded):
    assert encode(pdu).hex() == encoded.hex()
    assert decode(encoded) == pdu


def request_with(items):
    return with_header(1, REQUEST_BODY[:68] + items)


def item(kind, value):
    return bytes((kind, 0)) + len(value).to_bytes(2, "big") + value


def context(context_id, *sub_items):
    return item(0x20, bytes((context_id, 0, 0, 0)) + b"".join(sub_items))


ABSTRACT, TRANSFER = item(0x30, UID), item(0x40, b"1.2.840.10008.1.2")
CONTEXT = context(1, ABSTRACT, TRANSFER)

MALFORMED = {
    "no presentation context": (APPLICATION_CONTEXT, 6),
    "even context ID": (context(2, ABSTRACT, TRANSFER), 6),
    "context ID 0": (context(0, ABSTRACT, TRANSFER), 6),
    "duplicate context ID": (CONTEXT + CONTEXT, 6),
    "no abstract syntax": (context(1, TRANSFER), 6),
    "two abstract syntaxes": (context(1, ABSTRACT, ABSTRACT, TRANSFER), 6),
    "no transfer syntax": (context(1, ABSTRACT), 6),
    "context too short for its ID": (item(0x20, b""), 6),
    "half an item header": (CONTEXT + b"\x50\0\0", 6),
    "item longer than the PDU": (CONTEXT + b"\x50\0\xff\xff", 6),
    "sub-item longer than its item": (item(0x20, b"\x01\0\0\0\x30\0\0\x20" + UID), 6),
    "UID with a letter": (context(1, item(0x30, b"1.2.x"), TRANSFER), 6),
    "UID of 65 characters": (context(1, item(0x30, b"1" * 65), TRANSFER), 6),
    "empty UID": (context(1, item(0x30, b""), TRANSFER), 6),
    "two application contexts": (APPLICATION_CONTEXT * 2 + CONTEXT, 5),
    "maximum length of 3 bytes": (CONTEXT + item(0x50, item(0x51, b"\0\0\0")), 6),
    "two maximum lengths": (CONTEXT + item(0x50, item(0x51, bytes(4)) * 2), 5),
    "role UID longer than the item": (CONTEXT + item(0x50, item(0x54, b"\0\x09\x31\x01\x01")), 6),
    "role without its flags": (CONTEXT + item(0x50, item(0x54, b"\0\x01\x31")), 6),
    "identity longer than the item": (CONTEXT + item(0x50, item(0x58, b"\x01\0\0\x09ann")), 6),
    "related UIDs past their list": (
        CONTEXT + item(0x50, item(0x57, b"\0\x011\0\x011\0\x03\0\x091")),
        6,
    ),
}


@pytest.mark.parametrize(("items", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests(items, reason):
    with pytest.raises(MalformedPDU, match="A-ASSOCIATE-RQ") as caught:
        decode(request_with(items))
    assert caught.value.reason == reason


def test_unknown_items_of_every_level_are_ignored():
    unknown = item(0x99, b"whatever")
    items = context(1, unknown, ABSTRACT, TRANSFER, unknown) + unknown
    request = decode(request_with(items + item(0x50, unknown + item(0x51, b"\0\0\x40\0"))))
    assert request.presentation_contexts[0].id == 1
    assert request.user_information.maximum_length == 16384


def test_padding_of_uids_and_ae_titles_is_not_significant():
    body = bytearray(REQUEST_BODY[:68] + context(1, item(0x30, UID + b"\0"), TRANSFER))
    body[4:20] = b"   ARCHIVE      "
    request = decode(with_header(1, bytes(body)))
    assert request.called_ae_title == "ARCHIVE"
    assert request.presentation_contexts[0].abstract_syntax == UID.decode()


def test_an_ae_title_with_control_characters_is_malformed():
    body = bytearray(REQUEST_BODY)
    body[20:22] = b"\x1b["
    with pytest.raises(MalformedPDU, match="calling AE title"):
        decode(with_header(1, bytes(body)))


def test_reserved_fields_of_a_response_are_not_tested():
    body = bytearray(RESPONSE_BODY)
    body[4:68] = b"\xff" * 64
    assert decode(with_header(2, bytes(body))).presentation_contexts == (
        RESPONSE.presentation_contexts
    )


@pytest.mark.parametrize(
    "results",
    [
        item(0x21, bytes((1, 0, 5, 0)) + TRANSFER),
        item(0x21, bytes((1, 0, 0, 0))),
        item(0x21, bytes((2, 0, 0, 0)) + TRANSFER),
    ],
    ids=["unknown result", "accepted without transfer syntax", "even ID"],
)
def test_malformed_responses(results):
    with pytest.raises(MalformedPDU, match="A-ASSOCIATE-AC"):
        decode(with_header(2, RESPONSE_BODY[:68] + results))


def test_the_transfer_syntax_of_a_refused_context_is_not_tested():
    results = item(0x21, bytes((1, 0, 4, 0)) + item(0x40, b"nonsense"))
    [result] = decode(with_header(2, RESPONSE_BODY[:68] + results)).presentation_contexts
    assert result == ContextResult(1, ContextResultCode.TRANSFER_SYNTAXES_NOT_SUPPORTED)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "00000004 03",
        "00000001 03",
        "00000001 03 00000002 01 00",
        "00000000 03 03 00000002 03 03",
        "00000005 03 03 0102",
        "ffffffff 03 03 0102",
        "00000004 02 03 0102",
        "00000004 03 03 0102 00",
    ],
    ids=[
        "no value",
        "half a header",
        "a header but for one byte",
        "length 1 with control header",
        "length 0",
        "value past the PDU",
        "length 4 GiB",
        "even context",
        "rest too short",
    ],
)
def test_malformed_data(body):
    with pytest.raises(MalformedPDU, match="P-DATA-TF") as caught:
        decode(with_header(4, bytes.fromhex(body)))
    assert caught.value.reason == AbortReason.INVALID_PDU_PARAMETER_VALUE


@pytest.mark.parametrize("kind", [3, 5, 6, 7])
@pytest.mark.parametrize("length", [0, 3, 5])
def test_pdus_of_fixed_length(kind, length):
    with pytest.raises(MalformedPDU, match=str(length)):
        decode(with_header(kind, bytes(length)))


def test_an_unknown_pdu_type():
    with pytest.raises(MalformedPDU, match="08H") as caught:
        decode(with_header(8, bytes(4)))
    assert caught.value.reason == AbortReason.UNRECOGNIZED_PDU


OVER_LIMITS = {
    "contexts": (CONTEXT + context(3, ABSTRACT, TRANSFER), Limits(max_presentation_contexts=1)),
    "transfer syntaxes": (
        context(1, ABSTRACT, TRANSFER, TRANSFER),
        Limits(max_transfer_syntaxes_per_context=1),
    ),
    "items": (CONTEXT + item(0x99, b"") * 9, Limits(max_associate_items=11)),
    "related classes": (
        CONTEXT + item(0x50, item(0x57, b"\0\x011\0\x011\0\x06\0\x011\0\x011")),
        Limits(max_associate_items=6),
    ),
}


@pytest.mark.parametrize(("items", "limits"), OVER_LIMITS.values(), ids=OVER_LIMITS)
def test_limits_of_requests(items, limits):
    decode(request_with(items))
    with pytest.raises(MalformedPDU):
        decode(request_with(items), limits)


def test_limit_of_values():
    encoded = with_header(4, bytes.fromhex("00000002 01 00") * 3)
    assert len(decode(encoded, Limits(max_pdvs_per_pdu=3)).pdvs) == 3
    with pytest.raises(MalformedPDU, match="more than 2"):
        decode(encoded, Limits(max_pdvs_per_pdu=2))


CONTEXTS = (ProposedContext(1, "1.2", ("1.3",)),)
NOT_ENCODABLE = {
    "AE title of 17": AssociateRQ("A" * 17, "B", CONTEXTS),
    "AE title not ASCII": AssociateRQ("\xc4RZTE", "B", CONTEXTS),
    "AE title with a newline": AssociateRQ("A\nB", "B", CONTEXTS),
    "blank AE title": AssociateRQ("A", "  ", CONTEXTS),
    "no contexts": AssociateRQ("A", "B", ()),
    "even ID": AssociateRQ("A", "B", (ProposedContext(2, "1.2", ("1.3",)),)),
    "ID 257": AssociateRQ("A", "B", (ProposedContext(257, "1.2", ("1.3",)),)),
    "duplicate ID": AssociateRQ("A", "B", CONTEXTS * 2),
    "not a UID": AssociateRQ("A", "B", (ProposedContext(1, "one", ("1.3",)),)),
    "maximum length of 33 bits": AssociateRQ("A", "B", CONTEXTS, UserInformation(1 << 32)),
    "version name of 17": AssociateRQ(
        "A", "B", CONTEXTS, UserInformation(implementation_version_name="V" * 17)
    ),
    "no values": PDataTF(()),
    "values on an even context": PDataTF((PresentationDataValue(2, True, True, b""),)),
    "rejection of 256": AssociateRJ(1, 1, 256),
}


@pytest.mark.parametrize("pdu", NOT_ENCODABLE.values(), ids=NOT_ENCODABLE)
def test_local_mistakes(pdu):
    with pytest.raises(LocalProtocolError):
        encode(pdu)


@pytest.mark.parametrize(
    ("fields", "meaning"),
    [
        ((1, 1, 7), "rejected permanently by the service user: called AE title not recognized"),
        ((1, 2, 2), "rejected permanently by the service provider (ACSE): protocol version"),
        ((2, 3, 2), "rejected for now by the service provider (presentation): local limit"),
        ((9, 8, 7), "result 9 by source 8: reason 7"),
    ],
)
def test_rejections_say_what_they_mean(fields, meaning):
    """PS3.8 Table 9-21."""
    assert AssociateRJ(*fields).meaning.startswith(meaning)


def test_credentials_are_not_shown():
    assert "sec" not in repr(REQUEST)
    assert "ann" not in repr(REQUEST)
