"""Our requestor against servers of other makes: DCMTK's storescp and dcmqrscp, and pynetdicom."""

from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from pacs_core.association import AssociationRefusedError, Proposal, connect
from pacs_core.cli.main import main
from pacs_core.contracts import Peer
from pacs_core.dataset import tag_of

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::ResourceWarning")]

EXPLICIT = "1.2.840.10008.1.2.1"
CT = str(CTImageStorage)
FIND = str(StudyRootQueryRetrieveInformationModelFind)
MOVE = str(StudyRootQueryRetrieveInformationModelMove)
GET = str(StudyRootQueryRetrieveInformationModelGet)
LEVEL, STUDY = tag_of("QueryRetrieveLevel"), tag_of("StudyInstanceUID")
ACCESSION, PATIENT_NAME = tag_of("AccessionNumber"), tag_of("PatientName")
PROPOSALS = [
    Proposal(str(Verification)),
    Proposal(CT, (EXPLICIT,), scu=True, scp=True),
    Proposal(FIND),
    Proposal(MOVE),
    Proposal(GET),
]
UID = "1.2.826.0.1.7"


@pytest.fixture
def encoded(make_cts, dataset_bytes, write_files, tmp_path):
    """Sixteen encoded CT images by SOP Instance UID."""
    files = sorted(write_files(tmp_path / "files", make_cts()).iterdir())
    uids = [ct.SOPInstanceUID for ct in make_cts()]
    return {uid: dataset_bytes(path.read_bytes())[1] for uid, path in zip(uids, files, strict=True)}


async def converse(exchange):
    """Return all statuses, and all identifiers, of a query or retrieval."""
    responses = [each async for each in exchange]
    return [c.status for c, _ in responses], [i for _, i in responses if i is not None]


async def store_all(association, encoded):
    return {(await association.c_store(CT, uid, data)).status for uid, data in encoded.items()}


# --- DCMTK


@pytest.mark.peer
async def test_storescp_takes_what_we_send_bit_by_bit(destination, received_files, encoded):
    port, received = destination()
    peer = Peer("DESTINATION", "127.0.0.1", port)
    async with connect(peer, PROPOSALS[:2]) as association:
        assert (await association.c_echo()).status == 0x0000
        assert await store_all(association, encoded) == {0x0000}
    assert received_files(received) == {(EXPLICIT, data) for data in encoded.values()}


@pytest.mark.peer
@pytest.mark.parametrize("length", [4096, 131072])
async def test_storescp_with_any_pdu_length(destination, received_files, make_ct, length):
    port, received = destination("-pdu", length)
    data = (
        b"\x10\x00\x20\x00LO\x02\x00P "
        + b"\xe0\x7f\x10\x00OW\x00\x00"
        + (300_000).to_bytes(4, "little")
    )
    data += bytes(300_000)

    async def pieces():
        for start in range(0, len(data), 70_001):
            yield data[start : start + 70_001]

    async with connect(Peer("DESTINATION", "127.0.0.1", port), PROPOSALS[:2]) as association:
        assert (await association.c_store(CT, "1.2.3", pieces())).status == 0x0000
    assert received_files(received) == {(EXPLICIT, data)}


@pytest.mark.peer
async def test_storescp_refuses_us(destination):
    port, _received = destination("--refuse")
    with pytest.raises(AssociationRefusedError):
        async with connect(Peer("DESTINATION", "127.0.0.1", port), PROPOSALS[:1]):
            pass


@pytest.fixture
def dcmqrscp(dcmtk, free_port, tmp_path):
    """Return a function that starts DCMTK's archive, which knows one node to move to."""
    servers = []

    def dcmqrscp(move_port):
        port, storage = free_port(), tmp_path / "qr"
        storage.mkdir()
        config = tmp_path / "dcmqrscp.cfg"
        config.write_text(
            f"""NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
pacs = (PACS, 127.0.0.1, {move_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QR {storage} RW (500, 1024mb) ANY
AETable END
"""
        )
        server = dcmtk.serve("dcmqrscp", port, "-c", config)
        server.__enter__()
        servers.append(server)
        return Peer("QR", "127.0.0.1", port)

    yield dcmqrscp
    for server in servers:
        server.__exit__(None, None, None)


IMAGES = tuple(f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("1", "2", "4", "6.1", "7", "20", "128"))


@pytest.mark.peer
def test_a_study_of_many_sop_classes_comes_from_dcmqrscp(
    dcmqrscp, make_ct, write_files, tmp_path, capsys
):
    """What does not fit 128 contexts is got in parts: lists of series, one of mixed instances."""
    instances = []
    for number, sop_class in enumerate(IMAGES):
        for series in (number, 99):
            uid = f"{UID}.5.{series}.{number}"
            ct = make_ct(uid, StudyInstanceUID=f"{UID}.5", PatientID="MANY", PatientName="A")
            ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = sop_class
            ct.SeriesInstanceUID, ct.StudyID = f"{UID}.5.{series}", "1"
            instances.append(ct)
    folder = write_files(tmp_path / "many", instances)
    peer = str(dcmqrscp(1)).partition(" ")[0]
    assert main(["store", peer, str(folder)]) == 0
    got = tmp_path / "got"
    assert main(["get", peer, "-k", f"StudyInstanceUID={UID}.5", "-o", str(got)]) == 0
    assert f"{len(instances)} received, 0 failed" in capsys.readouterr().out
    assert {path.stem for path in got.rglob("*.dcm")} == {ct.SOPInstanceUID for ct in instances}


@pytest.mark.peer
async def test_dcmqrscp_stores_finds_gets_and_moves_for_us(dcmqrscp, pacs_node, stored, encoded):
    node = pacs_node({"node": {"ae_title": "PACS"}})
    peer = dcmqrscp(node.port)
    sent = {(EXPLICIT, data) for data in encoded.values()}
    async with connect(peer, PROPOSALS) as association:
        assert await store_all(association, encoded) == {0x0000}
        query = {LEVEL: ("STUDY",), ACCESSION: ("A0*",), STUDY: ()}
        statuses, found = await converse(association.c_find(FIND, query))
        assert statuses == [0xFF00, 0xFF00, 0x0000]
        assert {each[STUDY] for each in found} == {(f"{UID}.0.0",), (f"{UID}.0.1",)}

        got = set()

        async def receive(operation):
            got.add((operation.context.transfer_syntax, await operation.dataset.read(1 << 20)))
            return 0x0000

        study = {LEVEL: ("STUDY",), STUDY: (f"{UID}.0.0",)}
        statuses, _ = await converse(association.c_get(GET, study, receive))
        assert statuses[-1] == 0x0000
        assert len(got) == 4

        statuses, _ = await converse(association.c_move(MOVE, study, "PACS"))
        assert statuses[-1] == 0x0000
        statuses, _ = await converse(association.c_move(MOVE, study, "NOWHERE"))
        assert statuses == [0xA801]
    assert len(stored(node)) == 4
    assert {ts for ts, _ in got} == {EXPLICIT}
    # DCMTK writes what it reads anew: the same attributes, not always the same bytes.
    assert {len(data) for _, data in stored(node)} <= {len(data) for _, data in sent}


# --- pynetdicom


class Archive:
    """A pynetdicom server that keeps what it is sent, and answers from it."""

    def __init__(self):
        self.received = {}

    def store(self, event):
        uid = event.request.AffectedSOPInstanceUID
        self.received[uid] = event.request.DataSet.getvalue()
        return 0x0000

    def find(self, event):
        for number in range(1000):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            match.SpecificCharacterSet = "ISO_IR 100"
            match.PatientName = f"Müller^{number}"
            yield 0xFF00, match

    def get(self, event):
        yield 1
        ct = Dataset()
        ct.SOPClassUID, ct.SOPInstanceUID = CT, "1.2.3"
        ct.file_meta = Dataset()
        ct.file_meta.TransferSyntaxUID = EXPLICIT
        yield 0xFF00, ct


@contextmanager
def pynetdicom_server(archive):
    ae = AE("SERVER")
    for context in (Verification, FIND, GET):
        ae.add_supported_context(context)
    ae.add_supported_context(CT, EXPLICIT, scu_role=True, scp_role=True)
    handlers = [
        (evt.EVT_C_STORE, archive.store),
        (evt.EVT_C_FIND, archive.find),
        (evt.EVT_C_GET, archive.get),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("SERVER", "127.0.0.1", server.socket.getsockname()[1])
    finally:
        server.shutdown()


async def test_pynetdicom_takes_what_we_send(encoded):
    archive = Archive()
    with pynetdicom_server(archive) as peer:
        async with connect(peer, PROPOSALS[:2]) as association:
            assert (await association.c_echo()).status == 0x0000
            assert await store_all(association, encoded) == {0x0000}
    assert archive.received == encoded


async def test_pynetdicom_is_queried_and_cancelled():
    with pynetdicom_server(Archive()) as peer:
        async with connect(peer, PROPOSALS) as association:
            query = {LEVEL: ("STUDY",), PATIENT_NAME: ()}
            statuses, found = await converse(association.c_find(FIND, query))
            assert statuses == [0xFF00] * 1000 + [0x0000]
            assert found[7][PATIENT_NAME] == ("Müller^7",)
            exchange = association.c_find(FIND, query)
            assert (await anext(exchange))[0].status == 0xFF00
            await exchange.aclose()
            assert (await association.c_echo()).status == 0x0000


async def test_pynetdicom_sends_on_our_association():
    got = {}

    async def receive(operation):
        uid = operation.command.affected_sop_instance_uid
        got[uid] = await operation.dataset.read(1 << 20)
        return 0x0000

    with pynetdicom_server(Archive()) as peer:
        async with connect(peer, PROPOSALS) as association:
            study = {LEVEL: ("STUDY",), STUDY: ("1.2",)}
            statuses, _ = await converse(association.c_get(GET, study, receive))
    assert statuses[-1] == 0x0000
    assert list(got) == ["1.2.3"]
    assert b"1.2.840.10008.5.1.4.1.1.2" in got["1.2.3"]


# --- pynetdicom as a client of a node


@contextmanager
def pynetdicom_client(node, *contexts, roles=()):
    ae = AE("CLIENT")
    for context in contexts:
        ae.add_requested_context(context, EXPLICIT)
    handlers = [(evt.EVT_C_STORE, roles[0])] if roles else []
    negotiation = [build_role(CT, scp_role=True)] if roles else []
    association = ae.associate(
        "127.0.0.1",
        node.port,
        ae_title="PACS",
        ext_neg=negotiation,
        evt_handlers=handlers,
    )
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def test_pynetdicom_stores_finds_and_gets(pacs_node, make_cts, stored):
    node = pacs_node()
    cts = list(make_cts())
    got = {}

    def store(event):
        got[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return 0x0000

    with pynetdicom_client(node, Verification, CT, FIND) as client:
        assert client.send_c_echo().Status == 0x0000
        assert {client.send_c_store(ct).Status for ct in cts} == {0x0000}
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.PatientName = "doe*"
        query.StudyInstanceUID = ""
        *matches, last = client.send_c_find(query, FIND)
    assert last[0].Status == 0x0000
    assert {m.StudyInstanceUID for _, m in matches} == {f"{UID}.1.0", f"{UID}.1.1"}

    with pynetdicom_client(node, GET, CT, roles=[store]) as client:
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.StudyInstanceUID = f"{UID}.1.1"
        last = list(client.send_c_get(query, GET))[-1][0]
    assert (last.Status, last.NumberOfCompletedSuboperations) == (0x0000, 4)
    assert {(EXPLICIT, data) for data in got.values()} <= stored(node)
    assert len(got) == 4


@pytest.mark.parametrize("ending", ["abort", "release"])
def test_pynetdicom_comes_and_goes(pacs_node, ending):
    node = pacs_node()
    for _ in range(5):
        ae = AE()
        ae.add_requested_context(Verification)
        client = ae.associate("127.0.0.1", node.port)
        assert client.send_c_echo().Status == 0x0000
        getattr(client, ending)()
    with pynetdicom_client(node, Verification) as client:
        assert client.send_c_echo().Status == 0x0000
