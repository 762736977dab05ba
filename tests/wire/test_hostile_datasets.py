"""Hostile datasets: a status of PS3.4 Table B.2-1, and nothing stored."""

import struct
import zlib

import pytest

from pacs_core.dimse import CommandField

CANNOT_UNDERSTAND, MISMATCH = 0xC000, 0xA900
UID = "1.2.826.0.1.1.1"


def _deflated(dataset: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(dataset) + packer.flush()


def _bomb(w) -> bytes:
    """200 MB of zeros in a private element before Pixel Data, in 200 KB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = 200 << 20
    parts = [packer.compress(struct.pack("<HH2s2xI", 0x0009, 0x1001, b"OB", size))]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(200)]
    return b"".join([*parts, packer.compress(w.instance(UID)), packer.flush()])


def _nested(w, depth: int) -> bytes:
    """Sequences of undefined length in sequences (PS3.5 §7.5), then the end of file."""
    sequence = struct.pack("<HH2s2xI", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return w.instance(UID) + (sequence + item) * depth


REFUSED = {
    "empty": (lambda w: b"", CANNOT_UNDERSTAND),
    "garbage": (lambda w: b"\xff" * 4000, CANNOT_UNDERSTAND),
    "text": (lambda w: b"This is no dataset. " * 50, CANNOT_UNDERSTAND),
    "truncated element": (lambda w: w.instance(UID)[:-3], CANNOT_UNDERSTAND),
    "truncated header": (lambda w: w.instance(UID) + b"\x10\x00", CANNOT_UNDERSTAND),
    "truncated pixel data": (
        lambda w: w.instance(UID) + w.element(0x7FE00010, b"OW", bytes(100), 5000),
        CANNOT_UNDERSTAND,
    ),
    "element of 4 GB": (
        lambda w: w.instance(UID) + w.element(0x00091001, b"OB", b"", 0xFFFFFFFE),
        CANNOT_UNDERSTAND,
    ),
    "pixel data of undefined length that never ends": (
        lambda w: w.instance(UID) + w.element(0x7FE00010, b"OB", b"", 0xFFFFFFFF),
        CANNOT_UNDERSTAND,
    ),
    "no SOP Instance UID": (
        lambda w: w.dataset(SOPClassUID=w.CT, StudyInstanceUID="1.2", SeriesInstanceUID="1.3"),
        CANNOT_UNDERSTAND,
    ),
    "no Study Instance UID": (
        lambda w: w.dataset(SOPClassUID=w.CT, SOPInstanceUID=UID, SeriesInstanceUID="1.3"),
        CANNOT_UNDERSTAND,
    ),
    "empty Series Instance UID": (
        lambda w: w.dataset(
            SOPClassUID=w.CT, SOPInstanceUID=UID, StudyInstanceUID="1.2", SeriesInstanceUID=""
        ),
        CANNOT_UNDERSTAND,
    ),
    "Study Instance UID that is a path": (
        lambda w: w.instance(UID).replace(b"1.2.826.0.1\0", b"../../../x\0\0"),
        CANNOT_UNDERSTAND,
    ),
    "another instance": (lambda w: w.instance("1.2.826.0.1.1.2"), MISMATCH),
    "another SOP class": (lambda w: w.instance(UID, sop_class=w.MR), MISMATCH),
    "implicit VR in an explicit context": (
        lambda w: w.dataset(w.IMPLICIT, SOPClassUID=w.CT, SOPInstanceUID=UID),
        CANNOT_UNDERSTAND,
    ),
    "60,000 nested sequences": (lambda w: _nested(w, 60_000), CANNOT_UNDERSTAND),
}


@pytest.mark.parametrize("name", REFUSED)
def test_dataset_is_refused(wire, dial, caplog, name):
    """PS3.4 Table B.2-1: Cxxx cannot understand, A9xx does not match the SOP class."""
    make, status = REFUSED[name]
    peer = dial(wire.request())
    response, _ = peer.message(wire.STORE, wire.store(UID), make(wire)).response()
    assert (hex(response.status), bool(response.error_comment)) == (hex(status), True)
    assert peer.message(wire.ECHO, wire.echo()).response()[0].status == 0x0000
    peer.release()


# PS3.5 §A.5: the dataset is a raw deflate stream.
DEFLATED = {
    "no deflate stream": (lambda w: b"\xff" * 1000, CANNOT_UNDERSTAND),
    "cut in its header": (lambda w: _deflated(w.instance(UID))[:20], CANNOT_UNDERSTAND),
    "bomb": (_bomb, CANNOT_UNDERSTAND),
    "empty": (lambda w: b"", CANNOT_UNDERSTAND),
    "another instance": (lambda w: _deflated(w.instance("1.2.3")), MISMATCH),
}


@pytest.mark.parametrize("name", DEFLATED)
def test_deflated_dataset_is_refused(wire, dial, name):
    make, status = DEFLATED[name]
    peer = dial(wire.request())
    response, _ = peer.message(wire.DEFLATE, wire.store(UID), make(wire)).response()
    assert hex(response.status) == hex(status)
    assert peer.message(wire.ECHO, wire.echo()).response()[0].status == 0x0000
    peer.release()


def test_refusal_is_recorded(wire, dial, node, eventually):
    peer = dial(wire.request())
    peer.message(wire.STORE, wire.store(UID), b"").response()
    port = str(peer.port)
    peer.release()
    log = node.data_directory / "audit" / "audit.jsonl"

    def found() -> bool:
        events = [line for line in log.read_text().splitlines() if f'"port":{port},' in line]
        return any('"c-store"' in e and '"failure"' in e and '"C000"' in e for e in events)

    eventually(found)


IDENTIFIERS = {
    "empty": lambda w: b"",
    "garbage": lambda w: b"\xff" * 200,
    "truncated": lambda w: w.dataset(QueryRetrieveLevel="STUDY", PatientName="*")[:-1],
    "two megabytes": lambda w: w.element(0x00091001, b"OB", bytes(2 << 20)),
    "60,000 nested sequences": lambda w: _nested(w, 60_000),
    "unknown level": lambda w: w.dataset(QueryRetrieveLevel="../x"),
}


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_identifier_is_refused(wire, dial, name):
    """PS3.4 Table C.4-1: A700, A900 or Cxxx, and no match."""
    peer = dial(wire.request())
    command = wire.query(CommandField.C_FIND_RQ)
    response, _ = peer.message(wire.FIND, command, IDENTIFIERS[name](wire)).response()
    assert response.status in (0xA700, 0xA900) or response.status >> 12 == 0xC
    assert peer.message(wire.ECHO, wire.echo()).response()[0].status == 0x0000
    peer.release()


@pytest.mark.parametrize("hang_up", ["close", "reset"])
@pytest.mark.parametrize("size", [0, 100, 3_000_000])
def test_connection_cut_within_a_dataset(wire, dial, recorded, size, hang_up):
    """FIN or RST after a part of the dataset: nothing of it is stored."""
    peer = dial(wire.request()).message(wire.STORE, wire.store(UID))
    part = wire.instance(UID, size=4_000_000)[:size]
    peer.send(wire.dataset_pdus(wire.STORE, part, last=False))
    port = peer.port
    getattr(peer, hang_up)()
    recorded(port, "association-aborted", "transport connection was lost")


def test_connection_cut_within_a_pdu(wire, dial, recorded):
    peer = dial(wire.request()).message(wire.STORE, wire.store(UID))
    peer.send(wire.dataset_pdus(wire.STORE, wire.instance(UID))[:-5])
    recorded(peer, "association-aborted", "transport connection was lost")


def test_abort_within_a_dataset(wire, dial, recorded):
    peer = dial(wire.request()).message(wire.STORE, wire.store(UID))
    peer.send(wire.dataset_pdus(wire.STORE, wire.instance(UID), last=False), wire.abort(0, 0))
    recorded(peer, "association-aborted", "by the peer")
