"""DIMSE-N services of our requestor against pynetdicom's SCP (PS3.7 §10.1)."""

from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
)

from pacs_core.association import NoContextError, Proposal, connect
from pacs_core.contracts import Peer
from pacs_core.dataset import tag_of

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::ResourceWarning")]

MPPS = str(ModalityPerformedProcedureStep)
COMMITMENT = str(StorageCommitmentPushModel)
FILM_SESSION = str(BasicFilmSession)
PRINT = str(BasicGrayscalePrintManagementMeta)
STATUS, NAME = tag_of("PerformedProcedureStepStatus"), tag_of("PatientName")
CHARACTER_SET = tag_of("SpecificCharacterSet")
COPIES = tag_of("NumberOfCopies")


class Instances:
    """SOP instances of a pynetdicom SCP, by UID."""

    def __init__(self):
        self.held = {}
        self.heard = []

    def create(self, event):
        uid = event.request.AffectedSOPInstanceUID or "1.2.3.4"  # PS3.7 §10.1.5.1.4
        if uid in self.held:
            return 0x0111, None
        self.held[uid] = event.attribute_list
        answer = Dataset()
        answer.update(event.attribute_list)
        answer.pop("SpecificCharacterSet", None)
        if not event.request.AffectedSOPInstanceUID:
            answer.AffectedSOPInstanceUID = uid  # pynetdicom moves it into the command set
        return 0x0000, answer

    def set(self, event):
        held = self.held.get(event.request.RequestedSOPInstanceUID)
        if held is None:
            return 0x0112, None
        held.update(event.modification_list)
        return 0x0000, held

    def get(self, event):
        held = self.held.get(event.request.RequestedSOPInstanceUID)
        if held is None:
            return 0x0112, None
        answer = Dataset()
        wanted = event.attribute_identifiers
        answer.update({tag: held[tag] for tag in wanted or held.keys() if tag in held})
        return 0x0000 if all(tag in held for tag in wanted) else 0x0107, answer

    def action(self, event):
        self.heard.append((event.action_type, event.action_information.TransactionUID))
        return 0x0000, None

    def report(self, event):
        self.heard.append((event.event_type, event.event_information.TransactionUID))
        return 0x0000, None

    def delete(self, event):
        return 0x0000 if self.held.pop(event.request.RequestedSOPInstanceUID, None) else 0x0112


@contextmanager
def pynetdicom_scp(instances):
    ae = AE("SERVER")
    for context in (MPPS, COMMITMENT, PRINT):
        ae.add_supported_context(context, scu_role=True, scp_role=True)
    handlers = [
        (evt.EVT_N_CREATE, instances.create),
        (evt.EVT_N_SET, instances.set),
        (evt.EVT_N_GET, instances.get),
        (evt.EVT_N_ACTION, instances.action),
        (evt.EVT_N_EVENT_REPORT, instances.report),
        (evt.EVT_N_DELETE, instances.delete),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("SERVER", "127.0.0.1", server.socket.getsockname()[1])
    finally:
        server.shutdown()


@pytest.fixture
def instances():
    return Instances()


@pytest.fixture
def peer(instances):
    with pynetdicom_scp(instances) as peer:
        yield peer


async def test_a_performed_procedure_step_from_creation_to_completion(peer, instances):
    """N-CREATE, N-SET and N-GET, with attributes (PS3.7 §10.1.2, §10.1.3, §10.1.5)."""
    begun = {STATUS: ("IN PROGRESS",), NAME: ("Doe^Jane",)}
    async with connect(peer, [Proposal(MPPS)]) as association:
        created, echoed = await association.n_create(MPPS, "1.2.3", begun)
        again, _ = await association.n_create(MPPS, "1.2.3", begun)
        changed, _ = await association.n_set(MPPS, "1.2.3", {STATUS: ("COMPLETED",)})
        unknown, _ = await association.n_set(MPPS, "1.2.9", {STATUS: ("COMPLETED",)})
        some, found = await association.n_get(MPPS, "1.2.3", (STATUS,))
        partly, _ = await association.n_get(MPPS, "1.2.3", (STATUS, COPIES))
        _, everything = await association.n_get(MPPS, "1.2.3")
    statuses = [each.status for each in (created, again, changed, unknown, some, partly)]
    assert statuses == [0x0000, 0x0111, 0x0000, 0x0112, 0x0000, 0x0107]
    assert created.affected_sop_instance_uid == "1.2.3"
    assert echoed == begun
    assert found == {STATUS: ("COMPLETED",)}
    assert everything == {**begun, STATUS: ("COMPLETED",), CHARACTER_SET: ("ISO_IR 192",)}


async def test_datasets_of_pydicom_go_and_come(peer, instances):
    step = Dataset()
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    async with connect(peer, [Proposal(MPPS)]) as association:
        _, echoed = await association.n_create(MPPS, "1.2.3", step)
        _, found = await association.n_get(MPPS, "1.2.3", as_dataset=True)
    assert isinstance(echoed, Dataset)
    assert echoed == step == found


async def test_an_action_and_an_event(peer, instances):
    """Storage Commitment (PS3.4 J.3.2, J.3.3): the report comes from the side that is SCP."""
    transaction = {tag_of("TransactionUID"): ("1.2.99",)}
    proposal = Proposal(COMMITMENT, scu=True, scp=True)
    async with connect(peer, [proposal]) as association:
        asked, _ = await association.n_action(COMMITMENT, "1.2.840.10008.1.20.1.1", 1, transaction)
        told, _ = await association.n_event_report(
            COMMITMENT, "1.2.840.10008.1.20.1.1", 2, transaction
        )
    assert (asked.status, told.status) == (0x0000, 0x0000)
    assert instances.heard == [(1, "1.2.99"), (2, "1.2.99")]


async def test_a_film_session_under_its_meta_sop_class(peer, instances):
    """N-CREATE with a UID of the SCP's choice, and N-DELETE (PS3.4 H.4.1)."""
    async with connect(peer, [Proposal(PRINT)]) as association:
        with pytest.raises(NoContextError):
            await association.n_create(FILM_SESSION, None, {COPIES: ("1",)})
        created, _ = await association.n_create(
            FILM_SESSION, None, {COPIES: ("1",)}, negotiated_as=PRINT
        )
        uid = created.affected_sop_instance_uid
        deleted, _ = await association.n_delete(FILM_SESSION, uid, negotiated_as=PRINT)
        again, _ = await association.n_delete(FILM_SESSION, uid, negotiated_as=PRINT)
    assert [created.status, deleted.status, again.status] == [0x0000, 0x0000, 0x0112]
