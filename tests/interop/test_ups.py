"""Unified procedure steps (PS3.4 Annex CC), with pynetdicom at the other end."""

import json
import threading
from contextlib import AsyncExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

import anyio
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.testing.node import node_process, node_thread
from pacs_core.testing.waiting import until

PUSH, WATCH, PULL, EVENT, QUERY = (f"1.2.840.10008.5.1.4.34.6.{n}" for n in range(1, 6))
GLOBAL = "1.2.840.10008.5.1.4.34.5"
FILTERED = f"{GLOBAL}.1"
PLUGINS = ["sop-ups", "jobs", "database", "audit-json"]

pytestmark = [
    pytest.mark.peer,
    pytest.mark.timeout(180),
    # pynetdicom fails in a thread of its own if an association ends while it answers.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def code(value="1", meaning="one"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", meaning
    return item


def scheduled(**own):
    """The attribute list of an N-CREATE, as Table CC.2.5-3 wants it."""
    dataset = Dataset()
    dataset.ScheduledProcedureStepPriority = "MEDIUM"
    dataset.ProcedureStepLabel, dataset.WorklistLabel = "Measure the heart", "CARDIO"
    dataset.ScheduledProcessingParametersSequence = []
    dataset.ScheduledStationNameCodeSequence = [code("WS1", "workstation 1")]
    dataset.ScheduledStationClassCodeSequence = []
    dataset.ScheduledStationGeographicLocationCodeSequence = []
    dataset.ScheduledProcedureStepStartDateTime = "20260131093000"
    dataset.ScheduledWorkitemCodeSequence = [code("110005", "interpretation")]
    dataset.CommentsOnTheScheduledProcedureStep = ""
    dataset.InputReadinessState = "READY"
    dataset.InputInformationSequence = []
    dataset.StudyInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.IssuerOfPatientID = "Doe^Jane", "4711", ""
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.AdmissionID, dataset.AdmittingDiagnosesDescription = "", ""
    dataset.AdmittingDiagnosesCodeSequence, dataset.ReferencedRequestSequence = [], []
    dataset.ProcedureStepState = "SCHEDULED"
    dataset.ProcedureStepProgressInformationSequence = []
    dataset.UnifiedProcedureStepPerformedProcedureSequence = []
    for keyword, value in own.items():
        setattr(dataset, keyword, value)
    return dataset


def performed(**own):
    """What a performer sets before it completes a step."""
    item = Dataset()
    item.PerformedStationNameCodeSequence = [code("WS1", "workstation 1")]
    item.PerformedStationClassCodeSequence = []
    item.PerformedStationGeographicLocationCodeSequence = []
    item.PerformedProcedureStepStartDateTime = "20260131093000"
    item.PerformedWorkitemCodeSequence = [code("110005", "interpretation")]
    item.PerformedProcedureStepEndDateTime = "20260131094500"
    item.OutputInformationSequence = []
    for keyword, value in own.items():
        setattr(item, keyword, value)
    return with_values(UnifiedProcedureStepPerformedProcedureSequence=[item])


def with_values(**values):
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


class Peer:
    """An SCU on an association in whose contexts it may ask for anything."""

    def __init__(self, association):
        self.association = association

    def create(self, dataset=None, uid=None):
        uid = uid or generate_uid()
        return self.association.send_n_create(dataset or scheduled(), PUSH, uid)[0], uid

    def act(self, uid, action, information, context=PULL, sop_class=PUSH):
        return self.association.send_n_action(
            information, action, sop_class, uid, meta_uid=context
        )[0]

    def change_state(self, uid, state, transaction=None):
        information = with_values(ProcedureStepState=state)
        if transaction:
            information.TransactionUID = transaction
        return self.act(uid, 1, information).Status

    def request_cancel(self, uid, context=PUSH, **information):
        information = with_values(ReasonForCancellation="no longer needed", **information)
        return self.act(uid, 2, information, context)

    def set(self, uid, modifications, transaction=None):
        if transaction:
            modifications.TransactionUID = transaction
        return self.association.send_n_set(modifications, PUSH, uid, meta_uid=PULL)[0]

    def get(self, uid, *tags):
        return self.association.send_n_get(list(tags), PUSH, uid, meta_uid=WATCH)

    def find(self, context=QUERY, **keys):
        identifier = with_values(SOPInstanceUID="", ProcedureStepState="")
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        answers = list(self.association.send_c_find(identifier, context))
        assert answers.pop()[0].Status == 0x0000
        return [answer for _, answer in answers]

    def follow(self, uid, action, receiver="WATCHER", lock="FALSE", **keys):
        information = with_values(ReceivingAE=receiver, **keys)
        if lock:
            information.DeletionLock = lock
        return self.act(uid, action, information, WATCH).Status

    def state(self, uid):
        return self.get(uid, 0x0074_1000)[1].ProcedureStepState


@contextmanager
def connected(node, title="PERFORMER", receiver=None):
    """Associate with a node; a receiver is told of steps on the association."""
    ae = AE(ae_title=title)
    ae.network_timeout = None
    for each in (PUSH, WATCH, PULL, QUERY):
        ae.add_requested_context(each)
    handlers = []
    if receiver:
        ae.add_requested_context(EVENT)
        handlers = [(evt.EVT_N_EVENT_REPORT, receiver.report)]
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS", evt_handlers=handlers)
    assert association.is_established
    yield Peer(association)
    association.release()


class Receiver:
    """An SCU of UPS Event that is told of steps: an acceptor of pynetdicom."""

    def __init__(self):
        self.heard, self.answers, self.lock = [], [], threading.Lock()

    def report(self, event):
        request = event.request
        assert request.AffectedSOPClassUID == PUSH
        with self.lock:
            if self.answers:
                return self.answers.pop(), None
            said = (event.event_type, event.event_information)
            self.heard.append((request.AffectedSOPInstanceUID, *said))
            return 0x0000, None

    def of(self, uid):
        """Return the types of the events of a step, with their information."""
        with self.lock:
            return [(kind, said) for other, kind, said in self.heard if other == uid]

    def kinds(self, uid):
        return [kind for kind, _ in self.of(uid)]

    @contextmanager
    def serve(self, port=0):
        ae = AE("WATCHER")
        ae.add_supported_context(EVENT, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.report)]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()


def pacs(node, *arguments):
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*arguments, "--config", str(node.data_directory / "pacs.toml")])
    return code, out.getvalue().strip(), err.getvalue()


def tables_with(port):
    peer = {"ae_title": "WATCHER", "host": "127.0.0.1", "port": port}
    return {"peers": {"watcher": peer}, "plugin": {"jobs": {"poll": 0.2, "lease": 3.0}}}


@pytest.fixture(scope="module")
def receiver():
    return Receiver()


@pytest.fixture(scope="module")
def node(tmp_path_factory, receiver):
    directory = tmp_path_factory.mktemp("node")
    with (
        receiver.serve() as port,
        node_thread(directory, tables_with(port), plugins=PLUGINS) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def peer(node):
    with connected(node) as peer:
        yield peer


def in_state(peer, state):
    """Return a step in a state, and its Transaction UID."""
    (status, uid), transaction = peer.create(), generate_uid()
    assert status.Status == 0x0000
    if state != "SCHEDULED":
        assert peer.change_state(uid, "IN PROGRESS", transaction) == 0x0000
    if state in ("COMPLETED", "CANCELED"):
        assert peer.set(uid, performed(), transaction).Status == 0x0000
        assert peer.change_state(uid, state, transaction) == 0x0000
    return uid, transaction


# Tables CC.1.1-1 to CC.1.1-3: the state machine


def test_a_step_from_its_creation_to_its_end(peer):
    created = scheduled(PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100")
    (status, uid), transaction = peer.create(created), generate_uid()
    assert status.Status == 0x0000
    assert peer.change_state(uid, "IN PROGRESS", transaction) == 0x0000
    progress = with_values(ProcedureStepProgress="50")
    progress.ProcedureStepProgressDescription = "halbwegs, schön"
    half = with_values(ProcedureStepProgressInformationSequence=[progress])
    half.SpecificCharacterSet = "ISO_IR 192"
    assert peer.set(uid, half, transaction).Status == 0x0000
    assert peer.set(uid, performed(), transaction).Status == 0x0000
    assert peer.change_state(uid, "COMPLETED", transaction) == 0x0000
    status, got = peer.get(uid)
    assert status.Status == 0x0000
    assert (str(got.PatientName), got.ProcedureStepState) == ("Müller^Jürgen", "COMPLETED")
    (item,) = got.ProcedureStepProgressInformationSequence
    assert item.ProcedureStepProgressDescription == "halbwegs, schön"
    assert "TransactionUID" not in got
    assert got.ScheduledProcedureStepModificationDateTime


_ASKED = [
    ("SCHEDULED", 0xC303, 0xC303, 0xC303, 0xC303),
    ("IN PROGRESS", 0x0000, 0xC302, 0xC300, 0xC300),
    ("COMPLETED", 0xC310, 0x0000, 0xB306, 0xC300),
    ("CANCELED", 0xC310, 0x0000, 0xC300, 0xB304),
]


@pytest.mark.parametrize("column", range(4))
def test_changes_of_state(peer, column):
    """Table CC.1.1-2, with the correct Transaction UID, and without."""
    state = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")[column]
    for wanted, *statuses in sorted(_ASKED, key=lambda row: row[column + 1] == 0):
        uid, transaction = in_state(peer, state)
        if state == "IN PROGRESS":
            assert peer.set(uid, performed(), transaction).Status == 0x0000
        wrong = 0xC303 if wanted == "SCHEDULED" else 0xC301
        assert peer.change_state(uid, wanted) == wrong
        if state != "SCHEDULED" and wanted in ("COMPLETED", "CANCELED"):
            assert peer.change_state(uid, wanted, generate_uid()) == wrong
        assert peer.change_state(uid, wanted, transaction) == statuses[column]
        assert peer.state(uid) == (wanted if statuses[column] == 0 else state)


@pytest.mark.parametrize("context", [PUSH, WATCH])
def test_requests_to_cancel(peer, context):
    uid, _ = in_state(peer, "SCHEDULED")
    assert peer.request_cancel(uid, context).Status == 0x0000
    (item,) = peer.get(uid)[1].ProcedureStepProgressInformationSequence
    assert item.ReasonForCancellation == "no longer needed"
    assert item.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"
    assert item.ProcedureStepCancellationDateTime
    assert peer.request_cancel(uid, context).Status == 0xB304
    uid, _ = in_state(peer, "IN PROGRESS")
    assert peer.request_cancel(uid, context).Status == 0xC312
    assert peer.state(uid) == "IN PROGRESS"
    uid, _ = in_state(peer, "COMPLETED")
    assert peer.request_cancel(uid, context).Status == 0xC311


@pytest.mark.anyio
async def test_of_64_who_claim_a_step_at_once_one_has_it(node, peer):
    """Who has it may set it; all others are refused, the one and the other."""
    _, uid = peer.create()
    answers, door = {}, anyio.CapacityLimiter(8)  # a host may begin few associations at a time
    everybody, waiting = anyio.Event(), set(range(64))

    async def claim(number):
        transaction = f"1.2.3.{number + 1}"
        wanted = with_values(ProcedureStepState="IN PROGRESS", TransactionUID=transaction)
        done = performed()
        done.TransactionUID = transaction
        async with AsyncExitStack() as stack:
            opened = connect(node.peer, [Proposal(PULL)], calling_ae_title=f"P{number}")
            async with door:
                scu = await stack.enter_async_context(opened)
            waiting.discard(number)
            if not waiting:
                everybody.set()
            await everybody.wait()
            claimed, _ = await scu.n_action(PUSH, uid, 1, wanted, negotiated_as=PULL)
            taken, _ = await scu.n_set(PUSH, uid, done, negotiated_as=PULL)
            answers[number] = (claimed.status, taken.status)

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(claim, number)
    assert sorted(answers.values()) == [(0x0000, 0x0000)] + [(0xC302, 0xC301)] * 63


# Table CC.2.5-3: attributes


def test_what_is_missing_or_wrong_at_creation(peer):
    incomplete = scheduled()
    del incomplete.InputReadinessState
    status, _ = peer.create(incomplete)
    assert status.Status == 0x0120
    assert "InputReadinessState" in status.ErrorComment
    for values, wanted in (
        ({"ProcedureStepState": "IN PROGRESS"}, 0xC309),
        ({"ProcedureStepLabel": ""}, 0x0121),
        ({"ScheduledWorkitemCodeSequence": [with_values(CodeMeaning="no code")]}, 0x0121),
        ({"InputReadinessState": "PERHAPS"}, 0x0106),
        ({"UnifiedProcedureStepPerformedProcedureSequence": [Dataset()]}, 0xB300),
        ({"TransactionUID": "1.2.3"}, 0xB300),
    ):
        assert peer.create(scheduled(**values))[0].Status == wanted, values
    status, uid = peer.create()
    assert (status.Status, peer.create(uid=uid)[0].Status) == (0x0000, 0x0111)
    assert peer.create(uid=GLOBAL)[0].Status == 0x0117


def test_what_may_be_left_to_the_node(peer):
    bare = with_values(
        ScheduledProcedureStepPriority="HIGH",
        ProcedureStepLabel="x",
        ScheduledProcedureStepStartDateTime="20260131093000",
        InputReadinessState="READY",
        ProcedureStepState="SCHEDULED",
    )
    status, uid = peer.create(bare)
    assert status.Status == 0x0000
    assert peer.get(uid)[1].WorklistLabel == "PACS"


def test_what_n_set_may_change(peer):
    uid, transaction = in_state(peer, "SCHEDULED")
    assert peer.set(uid, with_values(ProcedureStepLabel="y")).Status == 0x0000
    assert peer.set(uid, with_values(ProcedureStepLabel="")).Status == 0x0121
    assert peer.set(uid, with_values(ProcedureStepState="SCHEDULED")).Status == 0x0000
    assert peer.set(uid, with_values(ProcedureStepState="COMPLETED")).Status == 0x0106
    assert peer.set(uid, with_values(PatientName="Doe^Jane")).Status == 0x0000
    passed = peer.set(uid, with_values(PatientID="4712", WorklistLabel="NEURO"))
    assert passed.Status == 0xB305
    assert passed.AttributeIdentifierList == 0x0010_0020
    got = peer.get(uid)[1]
    assert (got.ProcedureStepLabel, got.WorklistLabel, got.PatientID) == ("y", "NEURO", "4711")
    assert peer.set(uid, with_values(ProcedureStepLabel="z"), transaction).Status == 0xC310
    uid, transaction = in_state(peer, "IN PROGRESS")
    assert peer.set(uid, with_values(ProcedureStepLabel="z")).Status == 0xC301
    assert peer.set(uid, with_values(ProcedureStepState="SCHEDULED"), transaction).Status == 0xC303
    uid, transaction = in_state(peer, "CANCELED")
    assert peer.set(uid, with_values(ProcedureStepLabel="z"), transaction).Status == 0xC300


def test_what_an_end_demands(peer):
    uid, transaction = in_state(peer, "IN PROGRESS")
    assert peer.change_state(uid, "COMPLETED", transaction) == 0xC304
    halfway = performed(PerformedWorkitemCodeSequence=[])
    assert peer.set(uid, performed(PerformedProcedureStepEndDateTime="")).Status == 0xC301
    del halfway.UnifiedProcedureStepPerformedProcedureSequence[0].PerformedWorkitemCodeSequence
    assert peer.set(uid, halfway, transaction).Status == 0x0000
    refused = peer.act(
        uid, 1, with_values(ProcedureStepState="COMPLETED", TransactionUID=transaction)
    )
    assert refused.Status == 0xC304
    assert refused.ErrorComment.startswith("PerformedWorkitemCodeSequence")
    assert peer.change_state(uid, "CANCELED", transaction) == 0x0000


# What peers are known to do


def test_states_spelled_otherwise(peer):
    _, uid = peer.create(scheduled(ProcedureStepState="SCHEDULED "))
    transaction = generate_uid()
    assert peer.change_state(uid, "IN_PROGRESS", transaction) == 0x0000
    assert peer.state(uid) == "IN PROGRESS"
    assert peer.change_state(uid, "CANCELLED", transaction) == 0x0000
    assert peer.state(uid) == "CANCELED"
    assert peer.change_state(uid, "DONE", transaction) == 0x0115


def test_requests_may_name_push_or_the_sop_class_of_the_context(peer):
    """CC.3.1: the SOP class of all steps is UPS Push, in whichever context it is spoken of."""
    for sop_class in (PUSH, PULL):
        uid, _ = in_state(peer, "SCHEDULED")
        claim = with_values(ProcedureStepState="IN PROGRESS", TransactionUID=generate_uid())
        assert peer.act(uid, 1, claim, PULL, sop_class).Status == 0x0000
    assert peer.act(uid, 1, claim, PULL, "1.2.840.10008.1.1").Status == 0x0118


def test_each_context_has_its_operations(peer):
    uid, _ = in_state(peer, "SCHEDULED")
    information = with_values(ProcedureStepState="IN PROGRESS", TransactionUID="1.2.3")
    for context, action in ((PUSH, 1), (WATCH, 1), (PULL, 2), (PULL, 9)):
        assert peer.act(uid, action, information, context).Status == 0x0123
    created, _ = peer.association.send_n_create(scheduled(), PULL, generate_uid())
    assert created.Status == 0x0211
    assert peer.state(uid) == "SCHEDULED"


def test_what_there_is_not(peer):
    unknown = generate_uid()
    assert peer.get(unknown)[0].Status == 0xC307
    assert peer.set(unknown, performed()).Status == 0xC307
    assert peer.change_state(unknown, "IN PROGRESS", "1.2.3") == 0xC307
    assert peer.request_cancel(unknown).Status == 0xC307
    assert peer.change_state(GLOBAL, "IN PROGRESS", "1.2.3") == 0xC314
    assert peer.get(GLOBAL)[0].Status == 0xC307
    uid, _ = in_state(peer, "SCHEDULED")
    status, got = peer.get(uid, 0x0074_1000, 0x0008_1195)
    assert (status.Status, got.ProcedureStepState) == (0x0001, "SCHEDULED")
    assert "TransactionUID" not in got


def test_hostile_lists(peer):
    uid, _ = in_state(peer, "SCHEDULED")
    deep = Dataset()
    for _ in range(40):
        deep = with_values(ScheduledProcessingParametersSequence=[deep])
    assert peer.set(uid, deep).Status == 0x0110
    assert peer.act(uid, 1, deep).Status == 0x0115
    text = "'; DROP TABLE ups_steps; --"
    assert peer.set(uid, with_values(CommentsOnTheScheduledProcedureStep=text)).Status == 0x0000
    assert peer.get(uid)[1].CommentsOnTheScheduledProcedureStep == text


# C-FIND (CC.2.8)


def test_steps_are_found(peer):
    label, studies = f"FIND{generate_uid()[-8:]}", [generate_uid() for _ in range(3)]
    uids = [
        peer.create(
            scheduled(
                WorklistLabel=label,
                StudyInstanceUID=study,
                ScheduledProcedureStepStartDateTime=f"202601{number + 10}093000",
                ScheduledStationNameCodeSequence=[code(f"WS{number}", "a workstation")],
            )
        )[1]
        for number, study in enumerate(studies)
    ]
    assert peer.change_state(uids[0], "IN PROGRESS", generate_uid()) == 0x0000

    def found(context=QUERY, **keys):
        return {each.SOPInstanceUID for each in peer.find(context, WorklistLabel=label, **keys)}

    for context in (PULL, WATCH, QUERY):
        assert found(context) == set(uids)
    assert found(ProcedureStepState="SCHEDULED") == set(uids[1:])
    assert found(ScheduledProcedureStepStartDateTime="20260111-20260131") == set(uids[1:])
    assert found(SOPInstanceUID=uids[2]) == {uids[2]}
    assert found(StudyInstanceUID=studies[1], TransactionUID="1.2.3") == {uids[1]}
    # Table CC.2.5-2a: Code Meaning is no matching key.
    station = with_values(CodeValue="WS2", CodeMeaning="of whatever")
    (answer,) = peer.find(
        WorklistLabel=label, ScheduledStationNameCodeSequence=[station], TransactionUID=""
    )
    assert (answer.SOPInstanceUID, answer.ProcedureStepState) == (uids[2], "SCHEDULED")
    assert answer.ScheduledStationNameCodeSequence[0].CodeMeaning == "a workstation"
    assert not answer.TransactionUID
    keys = with_values(ScheduledProcedureStepStartDateTime="20260131-20260101")
    ((status, _),) = peer.association.send_c_find(keys, PULL)
    assert status.Status == 0xA900


# Subscriptions and events (CC.2.3, CC.2.4)


def test_a_receiver_is_told_what_happens_to_a_step(peer, receiver):
    uid, _ = in_state(peer, "SCHEDULED")
    transaction = generate_uid()
    assert peer.follow(uid, 3) == 0x0000
    until(lambda: receiver.kinds(uid) == [1])
    someone = with_values(HumanPerformerCodeSequence=[code()], HumanPerformerName="Roe^Richard")
    someone.HumanPerformerOrganization = "CARDIO"
    assigned = with_values(ScheduledHumanPerformersSequence=[someone])
    assert peer.set(uid, assigned).Status == 0x0000
    assert peer.change_state(uid, "IN PROGRESS", transaction) == 0x0000
    progress = with_values(ProcedureStepProgress="50")
    half = with_values(ProcedureStepProgressInformationSequence=[progress])
    assert peer.set(uid, half, transaction).Status == 0x0000
    assert peer.request_cancel(uid, ContactDisplayName="Roe^Richard").Status == 0x0000
    assert peer.change_state(uid, "CANCELED", transaction) == 0x0000
    until(lambda: receiver.kinds(uid) == [1, 5, 1, 3, 2, 1])
    said = [information for _, information in receiver.of(uid)]
    assert (said[0].ProcedureStepState, said[0].InputReadinessState) == ("SCHEDULED", "READY")
    assert said[1].HumanPerformerOrganization == "CARDIO"
    assert said[2].ProcedureStepState == "IN PROGRESS"
    assert said[3].ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == "50"
    assert said[4].RequestingAE == "PERFORMER"
    assert said[4].ReasonForCancellation == "no longer needed"
    assert said[5].ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"


def test_a_receiver_follows_all_steps_or_those_that_match(peer, receiver):
    label = f"L{generate_uid()[-8:]}"
    old = peer.create(scheduled(WorklistLabel=label))[1]
    assert peer.follow(FILTERED, 3, lock="TRUE", WorklistLabel=label) == 0x0000
    other = peer.create()[1]
    new = peer.create(scheduled(WorklistLabel=label))[1]
    until(lambda: (receiver.kinds(old), receiver.kinds(new)) == ([1], [1, 5]))
    assert receiver.kinds(other) == []
    assert peer.follow(FILTERED, 5, lock=None) == 0x0000
    later = peer.create(scheduled(WorklistLabel=label))[1]
    assert peer.request_cancel(old).Status == 0x0000
    until(lambda: receiver.kinds(old) == [1, 1, 1])
    assert peer.follow(new, 4, lock=None) == 0x0000
    assert peer.request_cancel(new).Status == 0x0000
    assert peer.follow(GLOBAL, 3) == 0x0000
    until(lambda: receiver.kinds(later) == [1])
    assert peer.follow(GLOBAL, 4, lock=None) == 0x0000
    assert peer.request_cancel(later).Status == 0x0000
    # What is told in order shows what was not told.
    last, _ = in_state(peer, "SCHEDULED")
    assert peer.follow(last, 3) == 0x0000
    until(lambda: receiver.kinds(last) == [1])
    assert receiver.kinds(later) == [1]


def test_subscriptions_that_are_refused(peer):
    uid, _ = in_state(peer, "SCHEDULED")
    assert peer.follow(uid, 3, receiver="STRANGER") == 0xC308
    assert peer.follow(uid, 3, lock=None) == 0x0115
    assert peer.follow(generate_uid(), 3) == 0xC307
    assert peer.follow(generate_uid(), 4, lock=None) == 0xC307
    assert peer.follow(uid, 5, lock=None) == 0xC314


def test_an_event_that_is_not_taken_is_told_again(peer, receiver):
    uid, _ = in_state(peer, "SCHEDULED")
    assert peer.follow(uid, 3) == 0x0000
    until(lambda: receiver.kinds(uid) == [1])
    with receiver.lock:
        receiver.answers = [0x0113]  # It would be answered so again: what follows is told.
    assert peer.change_state(uid, "IN PROGRESS", generate_uid()) == 0x0000
    assert peer.request_cancel(uid).Status == 0x0000
    until(lambda: receiver.kinds(uid) == [1, 2])


def test_who_holds_an_association_open_is_told_on_it(node, peer, receiver):
    """CC.2.4, CC.3: as SCU of UPS Event; whether it is a configured peer or not."""
    uid, _ = in_state(peer, "SCHEDULED")
    assert peer.follow(uid, 3, receiver="LISTENER") == 0xC308
    listener, caller = Receiver(), Receiver()
    with (
        connected(node, "LISTENER", listener) as listening,
        connected(node, "WATCHER", caller) as watching,
    ):
        assert listening.follow(uid, 3, receiver="LISTENER") == 0x0000
        assert watching.follow(uid, 3) == 0x0000
        assert peer.change_state(uid, "IN PROGRESS", generate_uid()) == 0x0000
        until(lambda: listener.kinds(uid) == caller.kinds(uid) == [1, 1])
        with listener.lock:
            listener.answers = [0x0113]  # What it refuses does not hold up what follows.
        assert peer.request_cancel(uid).Status == 0x0000
        assert peer.request_cancel(uid).Status == 0x0000
        until(lambda: (listener.kinds(uid), caller.kinds(uid)) == ([1, 1, 2], [1, 1, 2, 2]))
    assert receiver.kinds(uid) == []
    assert peer.request_cancel(uid).Status == 0x0000
    until(lambda: receiver.kinds(uid) == [2])
    with connected(node, "LISTENER", listener):
        until(lambda: listener.kinds(uid) == [1, 1, 2, 2])


def test_ended_steps_are_forgotten_unless_they_are_locked(tmp_path):
    """CC.2.1.3, CC.2.3.2: by the job of every night, which is brought forward."""
    tables = tables_with(1)
    tables["plugin"]["sop-ups"] = {"keep_ended": 1e-9}
    with node_thread(tmp_path, tables, plugins=PLUGINS) as node, connected(node) as peer:
        gone, unlocked, locked, begun = (
            in_state(peer, state)[0]
            for state in ("COMPLETED", "COMPLETED", "CANCELED", "IN PROGRESS")
        )
        for uid in (locked, unlocked):
            assert peer.follow(uid, 3, lock="TRUE") == 0x0000
        assert peer.follow(unlocked, 4, lock=None) == 0x0000

        def expiry(state):
            return pacs(node, "jobs", "list", "ups.expire", "--state", state, "--json")[1]

        number = str(json.loads(expiry("waiting"))["number"])
        assert pacs(node, "jobs", "cancel", number)[0] == 0
        assert pacs(node, "jobs", "retry", number)[0] == 0
        until(lambda: expiry("succeeded"))
        assert [peer.get(uid)[0].Status for uid in (gone, unlocked)] == [0xC307, 0xC307]
        assert (peer.state(locked), peer.state(begun)) == ("CANCELED", "IN PROGRESS")


# Power fails


def test_claims_subscriptions_and_events_outlive_a_kill(tmp_path):
    receiver, transaction = Receiver(), generate_uid()
    with receiver.serve() as port:
        pass
    with node_process(tmp_path, tables_with(port), plugins=PLUGINS) as node:
        with connected(node) as peer:
            assert peer.follow(GLOBAL, 3) == 0x0000
            _, uid = peer.create()
            assert peer.change_state(uid, "IN PROGRESS", transaction) == 0x0000
        node.kill()
    with (
        receiver.serve(port),
        node_process(tmp_path, tables_with(port), plugins=PLUGINS) as node,
        connected(node, "OTHER") as peer,
    ):
        assert peer.change_state(uid, "IN PROGRESS", generate_uid()) == 0xC302
        assert peer.set(uid, performed(), transaction).Status == 0x0000
        assert peer.change_state(uid, "COMPLETED", transaction) == 0x0000
        until(lambda: receiver.kinds(uid) == [1, 5, 1, 1], 60)
        assert receiver.kinds(GLOBAL) == [4]
        said = receiver.of(GLOBAL)[-1][1]
    assert (said.SCPStatus, said.SubscriptionListStatus) == ("RESTARTED", "WARM START")


# Commands


def test_commands(node, peer):
    workitem = "ScheduledWorkitemCodeSequence=110005^DCM^Interpretation"
    code, uid, err = pacs(node, "ups", "create", "Read it", "PatientID=P7", workitem)
    assert (code, err) == (0, "")
    assert uid in pacs(node, "ups", "list", "PatientID=P7", "--state", "SCHEDULED")[1]
    key = "ScheduledWorkitemCodeSequence.CodeValue=110005"
    assert uid in pacs(node, "ups", "list", key)[1]
    assert uid not in pacs(node, "ups", "list", "PatientID=P8")[1]
    _, transaction, _ = pacs(node, "ups", "claim", uid)
    code, _, err = pacs(node, "ups", "claim", uid)
    assert code == 1
    assert "C302H" in err
    assert pacs(node, "ups", "complete", uid, "1.2.3")[0] == 1
    assert pacs(node, "ups", "complete", uid, transaction)[0] == 0
    assert peer.state(uid) == "COMPLETED"
    assert pacs(node, "ups", "show", uid)[1].startswith("state: COMPLETED\n")
    _, other, _ = pacs(node, "ups", "create", "Never mind")
    assert pacs(node, "ups", "cancel", other, "--reason", "typo")[1] == "the step is CANCELED"
    (item,) = peer.get(other)[1].ProcedureStepProgressInformationSequence
    assert item.ReasonForCancellation == "typo"
    assert pacs(node, "ups", "list", "Nonsense=1")[0] == 2


def test_watching(node, peer):
    label, out = f"W{generate_uid()[-8:]}", StringIO()

    def work():
        until(lambda: "watching" in out.getvalue())
        _, uid = peer.create(scheduled(WorklistLabel=label))
        until(lambda: f"{uid} SCHEDULED" in out.getvalue())
        peer.create()  # Of another worklist.
        peer.request_cancel(uid)

    thread = threading.Thread(target=work)
    thread.start()
    config = str(node.data_directory / "pacs.toml")
    with redirect_stdout(out):
        main(["ups", "watch", f"WorklistLabel={label}", "--changes", "2", "--config", config])
    thread.join()
    words = [line.split(maxsplit=2)[2] for line in out.getvalue().splitlines()[1:]]
    assert [each.strip() for each in words] == ["SCHEDULED", "CANCELED"]
