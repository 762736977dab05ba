"""Performed procedure steps (PS3.4 Annex F), with pynetdicom at both ends."""

import json
import sys
import threading
from contextlib import AsyncExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import anyio
import pytest
from attrs import define, field
from importlib_metadata import EntryPoint
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.contracts import Response
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    decode_dataset,
    encode_dataset,
    parse_attributes,
)
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, node_thread
from pacs_core.testing.waiting import until

MPPS = "1.2.840.10008.3.1.2.3.3"
RETRIEVE = "1.2.840.10008.3.1.2.3.4"
NOTIFICATION = "1.2.840.10008.3.1.2.3.5"
CT = "1.2.840.10008.5.1.4.1.1.2"
SERIES, IMAGES, REFERENCED_UID = 0x0040_0340, 0x0008_1140, 0x0008_1155
PLUGINS = [
    "sop-mpps",
    "sop-worklist",
    "jobs",
    "database",
    "audit-json",
    "sop-storage",
    "store-filesystem",
    "index-sqlite",
]
RULES = Path(__file__).parents[1] / "distributions" / "pacs-rules" / "src"

pytestmark = [
    pytest.mark.peer,
    # pynetdicom fails in a thread of its own if an association ends while it answers.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def begun(study=None, step_id="S1", **own):
    """The attribute list of an N-CREATE, as Table F.7.2-1 wants it."""
    dataset, scheduled = Dataset(), Dataset()
    scheduled.StudyInstanceUID = study or generate_uid()
    scheduled.ReferencedStudySequence = []
    scheduled.AccessionNumber, scheduled.RequestedProcedureID = "A1", "R1"
    scheduled.RequestedProcedureDescription = "CT of the head"
    scheduled.ScheduledProcedureStepID = step_id
    scheduled.ScheduledProcedureStepDescription = "Head"
    scheduled.ScheduledProtocolCodeSequence = []
    dataset.ScheduledStepAttributesSequence = [scheduled]
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "4711"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.ReferencedPatientSequence = []
    dataset.PerformedProcedureStepID, dataset.PerformedStationAETitle = "P1", "CT1"
    dataset.PerformedStationName = dataset.PerformedLocation = ""
    dataset.PerformedProcedureStepStartDate = "20260131"
    dataset.PerformedProcedureStepStartTime = "093000"
    dataset.PerformedProcedureStepStatus = "IN PROGRESS"
    dataset.PerformedProcedureStepDescription = ""
    dataset.PerformedProcedureTypeDescription = ""
    dataset.ProcedureCodeSequence = []
    dataset.PerformedProcedureStepEndDate = dataset.PerformedProcedureStepEndTime = ""
    dataset.Modality, dataset.StudyID = "CT", ""
    dataset.PerformedProtocolCodeSequence = []
    dataset.PerformedSeriesSequence = []
    for keyword, value in own.items():
        setattr(dataset, keyword, value)
    return dataset


def ended(state="COMPLETED", images=2, **own):
    """The modification list of the last N-SET."""
    dataset, series = Dataset(), Dataset()
    dataset.PerformedProcedureStepStatus = state
    dataset.PerformedProcedureStepEndDate = "20260131"
    dataset.PerformedProcedureStepEndTime = "094500"
    series.PerformingPhysicianName = series.OperatorsName = ""
    series.ProtocolName, series.SeriesInstanceUID = "Head", generate_uid()
    series.SeriesDescription = series.RetrieveAETitle = ""
    series.ReferencedImageSequence = []
    for _ in range(images):
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CT, generate_uid()
        series.ReferencedImageSequence.append(image)
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    dataset.PerformedSeriesSequence = [series]
    for keyword, value in own.items():
        setattr(dataset, keyword, value)
    return dataset


def without(dataset, *keywords):
    for keyword in keywords:
        delattr(dataset, keyword)
    return dataset


@contextmanager
def modality(node, title="CT1"):
    ae = AE(ae_title=title)
    for each in (MPPS, RETRIEVE, NOTIFICATION):
        ae.add_requested_context(each)
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    yield association
    association.release()


def n_create(node, dataset, uid=None, title="CT1"):
    with modality(node, title) as association:
        return association.send_n_create(dataset, MPPS, uid or generate_uid())[0]


def n_set(node, dataset, uid, title="CT1"):
    with modality(node, title) as association:
        return association.send_n_set(dataset, MPPS, uid)[0]


def n_get(node, uid, tags=(), sop_class=RETRIEVE):
    with modality(node) as association:
        return association.send_n_get(list(tags), sop_class, uid, meta_uid=RETRIEVE)


@define
class System:
    """Another system that is told of steps: an SCP of pynetdicom."""

    heard: list = field(factory=list)
    answers: dict = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)

    def hear(self, kind, uid, what):
        with self.lock:
            self.heard.append((kind, uid, what))
            return self.answers.get(kind, [0x0000])[0]

    def create(self, event):
        request = event.request
        state = event.attribute_list.PerformedProcedureStepStatus
        return self.hear("create", request.AffectedSOPInstanceUID, str(state)), Dataset()

    def set(self, event):
        uid = event.request.RequestedSOPInstanceUID
        state = event.modification_list.get("PerformedProcedureStepStatus", "")
        return self.hear("set", uid, str(state)), Dataset()

    def report(self, event):
        request = event.request
        assert request.AffectedSOPClassUID == NOTIFICATION
        return self.hear("event", request.AffectedSOPInstanceUID, event.event_type), None

    def of(self, uid):
        with self.lock:
            return [(kind, what) for kind, other, what in self.heard if other == uid]

    @contextmanager
    def serve(self, port=0):
        ae = AE("RIS")
        ae.add_supported_context(MPPS)
        ae.add_supported_context(NOTIFICATION, scu_role=False, scp_role=True)
        handlers = [
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.set),
            (evt.EVT_N_EVENT_REPORT, self.report),
        ]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def system():
    return System()


@pytest.fixture(scope="module")
def tables(system):
    with system.serve() as port:
        peer = {"ae_title": "RIS", "host": "127.0.0.1", "port": port}
        yield {
            "peers": {"ris": peer},
            "plugin": {
                "sop-mpps": {"forward": ["ris"], "notify": ["ris"]},
                "jobs": {"poll": 0.2},
            },
        }


@pytest.fixture(scope="module")
def node(tmp_path_factory, tables):
    with node_thread(tmp_path_factory.mktemp("node"), tables, plugins=PLUGINS) as running:
        yield running


@pytest.fixture(scope="module")
def plain_node(tmp_path_factory):
    """A node of two workers that tells nobody."""
    plugins = ["sop-mpps", "jobs", "database"]
    tables = {"node": {"workers": 2}}
    with node_process(tmp_path_factory.mktemp("plain"), tables, plugins=plugins) as running:
        yield running


# The state machine, on the wire (F.7.2)


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
def test_a_step_from_its_begin_to_its_end(node, state):
    uid, sent = (
        generate_uid(),
        begun(PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100"),
    )
    with modality(node) as association:
        status, _ = association.send_n_create(sent, MPPS, uid)
        assert status.Status == 0x0000
        assert association.send_n_set(ended("IN PROGRESS"), MPPS, uid)[0].Status == 0x0000
        assert association.send_n_set(ended(state), MPPS, uid)[0].Status == 0x0000
        refused, _ = association.send_n_set(ended(state), MPPS, uid)
        assert (refused.Status, refused.ErrorID) == (0x0110, 0xA710)
        assert "may no longer be updated" in refused.ErrorComment
    status, got = n_get(node, uid)
    assert status.Status == 0x0000
    assert str(got.PatientName) == "Müller^Jürgen"
    assert (got.SpecificCharacterSet, got.PerformedProcedureStepStatus) == ("ISO_IR 100", state)
    assert len(got.PerformedSeriesSequence[0].ReferencedImageSequence) == 2


def test_one_uid_is_one_step(node):
    uid = generate_uid()
    assert n_create(node, begun(), uid).Status == 0x0000
    assert n_create(node, begun(), uid).Status == 0x0111
    assert n_set(node, ended(), generate_uid()).Status == 0x0112
    assert n_get(node, generate_uid())[0].Status == 0x0112


@pytest.mark.parametrize(
    ("dataset", "status", "said"),
    [
        (without(begun(), "Modality", "StudyID"), 0x0120, "Modality"),
        (without(begun(), "ScheduledStepAttributesSequence"), 0x0120, "ScheduledStep"),
        (begun(ScheduledStepAttributesSequence=[]), 0x0121, "ScheduledStep"),
        (begun(PerformedStationAETitle=""), 0x0121, "PerformedStationAETitle"),
        (begun(PerformedProcedureStepStatus="COMPLETED"), 0x0106, "PerformedProcedureStep"),
        (
            begun(PerformedProcedureStepStatus="DISCONTINUED"),
            0x0106,
            "PerformedProcedureStepStatus",
        ),
        (begun(PerformedProcedureStepStatus="WAITING"), 0x0106, "PerformedProcedureStep"),
    ],
)
def test_what_is_missing_or_wrong_is_said(node, dataset, status, said):
    answer = n_create(node, dataset)
    assert answer.Status == status
    assert answer.ErrorComment.startswith(said)


def test_no_step_is_completed_without_its_series(node):
    uid = generate_uid()
    n_create(node, begun(), uid)
    assert n_set(node, without(ended(), "PerformedSeriesSequence"), uid).Status == 0x0121
    assert n_get(node, uid)[1].PerformedProcedureStepStatus == "IN PROGRESS"
    assert n_set(node, ended(images=0), uid).Status == 0x0000


def test_some_attributes_are_answered_and_what_is_not_there_is_a_warning(node):
    uid = generate_uid()
    n_create(node, begun(), uid)
    status, got = n_get(node, uid, [0x00400252, 0x00080060])
    assert (status.Status, len(got)) == (0x0000, 2)
    status, got = n_get(node, uid, [0x00400252, 0x00400280])
    assert (status.Status, len(got)) == (0x0001, 1)


def test_requests_that_a_sop_class_has_not_are_0211(node):
    with modality(node) as association:
        status, _ = association.send_n_create(begun(), MPPS, generate_uid(), meta_uid=RETRIEVE)
        assert status.Status == 0x0211
        status, _ = association.send_n_action(None, 1, MPPS, generate_uid())
        assert status.Status == 0x0211
        assert association.send_n_delete(MPPS, generate_uid()).Status == 0x0211


@pytest.mark.anyio
async def test_ten_thousand_images_are_kept(plain_node):
    uid, many = generate_uid(), encodable(ended(images=1))
    (series,) = many[SERIES]
    (image,) = series[IMAGES]
    images = tuple({**image, REFERENCED_UID: (f"1.2.3.{number}",)} for number in range(10_000))
    many[SERIES] = ({**series, IMAGES: images},)
    async with connect(plain_node.peer, [Proposal(MPPS), Proposal(RETRIEVE)]) as association:
        await association.n_create(MPPS, uid, encodable(begun()))
        assert (await association.n_set(MPPS, uid, many))[0].status == 0x0000
        got = (await association.n_get(RETRIEVE, uid))[1]
    assert got[SERIES] == many[SERIES]


@pytest.mark.anyio
async def test_sixty_four_modalities_at_once_lose_no_update(plain_node):
    """All create and end a step of their own, and the same one: that is created once, and ended.

    They are spread over two workers, and so are those who hold an association open to be told.
    """
    common, answers = generate_uid(), {"create": [], "set": []}
    first, last = encodable(begun()), encodable(ended())

    connecting, everybody = anyio.Semaphore(16), anyio.Event()
    waiting = set(range(64))
    told = {client: {1: anyio.Event(), 2: anyio.Event()} for client in range(0, 64, 8)}

    async def work(client):
        async def hear(operation):
            command = operation.command
            await operation.read_dataset()
            if command.affected_sop_instance_uid == common:
                told[client][command.event_type_id].set()
            return Response(0x0000, event_type_id=command.event_type_id)

        uids = [MPPS, NOTIFICATION] if client in told else [MPPS]
        async with AsyncExitStack() as stack:
            async with connecting:
                proposals = [Proposal(uid) for uid in uids]
                opened = connect(plain_node.peer, proposals, calling_ae_title="CT1", serve=hear)
                association = await stack.enter_async_context(opened)
            waiting.discard(client)
            if not waiting:
                everybody.set()
            await everybody.wait()
            own = generate_uid()
            for uid in (own, common):
                created, _ = await association.n_create(MPPS, uid, first)
                answers["create"].append((uid, created.status))
            for uid in (own, common):
                changed, _ = await association.n_set(MPPS, uid, last)
                answers["set"].append((uid, changed.status))
            with anyio.fail_after(30):
                for event_type in (1, 2) if client in told else ():
                    await told[client][event_type].wait()

    async with anyio.create_task_group() as tasks:
        for client in tuple(waiting):
            tasks.start_soon(work, client)
    for kind, refusal in (("create", 0x0111), ("set", 0x0110)):
        of_common = [status for uid, status in answers[kind] if uid == common]
        assert sorted(of_common) == [0x0000] + [refusal] * 63
        assert {status for uid, status in answers[kind] if uid != common} == {0x0000}


def encodable(dataset):
    return parse_attributes(
        encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN), EXPLICIT_VR_LITTLE_ENDIAN
    )


# What real modalities send


def lax_forms():
    yield (
        "type 2 left out",
        without(
            begun(),
            "ProcedureCodeSequence",
            "PerformedSeriesSequence",
            "PatientBirthDate",
            "StudyID",
        ),
    )
    item = begun()
    item.ReferencedPatientSequence = [Dataset()]
    item.PerformedProtocolCodeSequence = [Dataset()]
    item.ScheduledStepAttributesSequence[0].ReferencedStudySequence = [Dataset()]
    item.ScheduledStepAttributesSequence[0].ScheduledProtocolCodeSequence = [Dataset()]
    yield "items without attributes", item
    yield "a status with an underscore", begun(PerformedProcedureStepStatus="IN_PROGRESS")
    yield "no step ID", begun(PerformedProcedureStepID="")
    unscheduled = begun()
    for keyword in ("AccessionNumber", "RequestedProcedureID", "ScheduledProcedureStepID"):
        setattr(unscheduled.ScheduledStepAttributesSequence[0], keyword, "")
    yield "an unscheduled step", unscheduled
    private = begun()
    private.add_new(0x00091001, "LO", "something")
    private.add_new(0x00091002, "OB", b"\0\1")
    yield "private attributes", private
    issuer = begun()
    issuer.ScheduledStepAttributesSequence[0].IssuerOfAccessionNumberSequence = [Dataset()]
    yield "an issuer of an accession number that says nothing", issuer


@pytest.mark.parametrize("dataset", [pytest.param(d, id=name) for name, d in lax_forms()])
def test_what_modalities_get_wrong_is_tolerated(node, dataset):
    uid = generate_uid()
    assert n_create(node, dataset, uid).Status == 0x0000
    _, got = n_get(node, uid)
    assert got.PerformedProcedureStepStatus == "IN PROGRESS"
    assert "ProcedureCodeSequence" in got
    assert not got.ReferencedPatientSequence


def test_an_n_set_may_repeat_all_of_the_n_create(node):
    uid, repeated = generate_uid(), begun()
    n_create(node, begun(), uid)
    repeated.PatientID = "other"
    for element in ended():
        repeated[element.tag] = element
    assert n_set(node, repeated, uid).Status == 0x0000
    _, got = n_get(node, uid)
    assert (got.PatientID, got.PerformedProcedureStepStatus) == ("4711", "COMPLETED")


def test_an_n_set_is_in_the_character_set_of_the_n_create(node):
    """F.7.2.2.1; so many say nothing of it in N-SET."""
    uid = generate_uid()
    n_create(node, begun(SpecificCharacterSet="ISO_IR 144", PatientName="Люкceмбypг"), uid)
    silent = Dataset()
    silent.PerformedProcedureStepDescription = "Голова".encode("iso8859_5")
    assert n_set(node, silent, uid).Status == 0x0000
    assert n_get(node, uid)[1].PerformedProcedureStepDescription == "Голова"


# Others are told


def test_peers_are_told_in_order(node, system):
    uid = generate_uid()
    n_create(node, begun(), uid)
    n_set(node, ended("IN PROGRESS"), uid)
    n_set(node, ended("DISCONTINUED"), uid)
    until(lambda: len(system.of(uid)) == 6)
    heard = system.of(uid)
    assert [each for each in heard if each[0] != "event"] == [
        ("create", "IN PROGRESS"),
        ("set", "IN PROGRESS"),
        ("set", "DISCONTINUED"),
    ]
    assert [each for each in heard if each[0] == "event"] == [
        ("event", 1),
        ("event", 4),
        ("event", 3),
    ]


def test_who_has_told_is_not_told_again(node, system):
    uid = generate_uid()
    n_create(node, begun(), uid, title="RIS")
    until(lambda: system.of(uid) == [("event", 1)])
    n_set(node, ended(), uid)
    until(lambda: ("set", "COMPLETED") in system.of(uid))
    assert "create" not in [kind for kind, _ in system.of(uid)]


def test_what_is_refused_for_now_is_sent_again_in_its_order(node, system):
    uid = generate_uid()
    system.answers["create"] = [0x0213]
    try:
        n_create(node, begun(), uid)
        n_set(node, ended(), uid)
        until(lambda: ("create", "IN PROGRESS") in system.of(uid))
        assert ("set", "COMPLETED") not in system.of(uid)
    finally:
        system.answers["create"] = [0x0111]  # The peer had it after all.
    until(lambda: ("set", "COMPLETED") in system.of(uid), 60)
    system.answers.clear()


def test_what_is_refused_for_good_is_given_up(node, system):
    """It would be refused again; the N-SET does not go before it."""
    uid = generate_uid()
    system.answers["create"] = [0x0106]
    try:
        n_create(node, begun(), uid)
        n_set(node, ended(), uid)
        until(lambda: len(jobs_of(node, uid, "failed")) == 2)
    finally:
        system.answers.clear()
    assert ("set", "COMPLETED") not in system.of(uid)
    jobs = jobs_of(node, uid, "failed")
    assert all("0106H invalid attribute value" in job["error"] for job in jobs)
    assert pacs(node, "jobs", "retry", str(jobs[0]["number"]))[0] == 0
    until(lambda: ("set", "COMPLETED") in system.of(uid))


def jobs_of(node, uid, state):
    out = pacs(node, "jobs", "list", "mpps.forward", "--state", state, "--json")[1]
    return [job for job in map(json.loads, out.splitlines()) if job["arguments"]["instance"] == uid]


def test_who_holds_an_association_open_is_told(node):
    """F.9: no request, no subscription; the association is all."""
    heard, early, uid = [], generate_uid(), generate_uid()

    def report(event):
        heard.append((event.request.AffectedSOPInstanceUID, event.event_type))
        return 0x0000, None

    n_create(node, begun(), early)
    ae = AE(ae_title="READING")
    ae.add_requested_context(NOTIFICATION)
    handlers = [(evt.EVT_N_EVENT_REPORT, report)]
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS", evt_handlers=handlers)
    assert association.is_established
    n_create(node, begun(), uid)
    until(lambda: (uid, 1) in heard)
    n_set(node, ended("IN PROGRESS"), uid)
    until(lambda: (uid, 4) in heard)
    n_set(node, ended(), uid)
    until(lambda: (uid, 2) in heard)
    association.release()
    assert heard == [(uid, 1), (uid, 4), (uid, 2)]
    n_create(node, begun())


# The worklist


def scheduled_entry(node, study, step_id="S1", accession="A1"):
    from pacs_sop_worklist.api import Worklist, steps_of

    from pacs_core.dataset import tag_of

    attributes = {
        tag_of("PatientName"): ("Doe^Jane",),
        tag_of("PatientID"): ("4711",),
        tag_of("AccessionNumber"): (accession,),
        tag_of("StudyInstanceUID"): (study,),
        tag_of("RequestedProcedureID"): ("R1",),
        tag_of("ScheduledProcedureStepSequence"): (
            {
                tag_of("Modality"): ("CT",),
                tag_of("ScheduledProcedureStepID"): (step_id,),
                tag_of("ScheduledProcedureStepStartDate"): ("20260131",),
            },
        ),
    }
    worklist = node.node.opened.node.find(Worklist)
    node.call(worklist.put, list(steps_of(attributes)), "test")


def entry_states(node, study):
    from pacs_sop_worklist.api import Worklist

    from pacs_core.contracts import SingleValue

    worklist = node.node.opened.node.find(Worklist)

    async def states():
        found = worklist.search([SingleValue(0x0020000D, study)], with_ended=True)
        return [(str(each.step.state), each.performed) async for each in found]

    return node.call(states)


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
def test_the_worklist_follows_its_steps(node, state):
    uid, study = generate_uid(), generate_uid()
    scheduled_entry(node, study)
    scheduled_entry(node, study, "S2")
    n_create(node, begun(study), uid)
    until(lambda: ("STARTED", uid) in entry_states(node, study))
    n_set(node, ended(state), uid)
    until(lambda: (state, uid) in entry_states(node, study))
    assert ("SCHEDULED", "") in entry_states(node, study)


def test_a_step_that_was_broken_off_may_be_begun_again(node):
    first, second, study = generate_uid(), generate_uid(), generate_uid()
    scheduled_entry(node, study)
    n_create(node, begun(study), first)
    n_set(node, ended("DISCONTINUED"), first)
    until(lambda: entry_states(node, study) == [("DISCONTINUED", first)])
    n_create(node, begun(study), second)
    until(lambda: entry_states(node, study) == [("STARTED", second)])
    n_set(node, ended(), second)
    until(lambda: entry_states(node, study) == [("COMPLETED", second)])


# Power fails


def test_a_step_outlives_a_kill_between_n_create_and_n_set(tmp_path):
    system, uid, study = System(), generate_uid(), generate_uid()
    with system.serve() as port:
        peer = {"ae_title": "RIS", "host": "127.0.0.1", "port": port}
    tables = {
        "peers": {"ris": peer},
        "plugin": {"sop-mpps": {"forward": ["ris"]}, "jobs": {"poll": 0.2, "lease": 3.0}},
    }
    plugins = [each for each in PLUGINS if each != "sop-worklist"]
    with node_process(tmp_path, tables, plugins=plugins) as node:
        assert n_create(node, begun(study), uid).Status == 0x0000
        node.kill()
    with system.serve(port), node_process(tmp_path, tables, plugins=plugins) as node:
        assert n_set(node, ended(), uid).Status == 0x0000
        until(lambda: ("set", "COMPLETED") in system.of(uid), 60)
        assert system.of(uid)[0] == ("create", "IN PROGRESS")


def grouped(*studies, step_id="S1", accession="A1"):
    """An N-CREATE of several scheduled steps at once."""
    dataset = begun()
    scheduled = []
    for study in studies:
        (item,) = begun(study, step_id).ScheduledStepAttributesSequence
        item.AccessionNumber = accession
        scheduled.append(item)
    dataset.ScheduledStepAttributesSequence = scheduled
    return dataset


def test_all_scheduled_steps_of_a_performed_one_move_on(node):
    studies = [generate_uid(), generate_uid()]
    for study in studies:
        scheduled_entry(node, study)
    n_create(node, grouped(*studies), uid := generate_uid())
    for study in studies:
        until(lambda study=study: entry_states(node, study) == [("STARTED", uid)])
    n_set(node, ended(), uid)
    for study in studies:
        until(lambda study=study: entry_states(node, study) == [("COMPLETED", uid)])


def test_entries_are_found_by_a_study_that_is_referred_to(node):
    """F.7.2.1.2, note 2: a step of several procedures may have a study of its own."""
    scheduled_entry(node, study := generate_uid())
    referred = Dataset()
    referred.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    referred.ReferencedSOPInstanceUID = study
    dataset = begun()
    dataset.ScheduledStepAttributesSequence[0].ReferencedStudySequence = [referred]
    n_create(node, dataset, uid := generate_uid())
    until(lambda: entry_states(node, study) == [("STARTED", uid)])


def test_entries_are_found_without_a_step_id_if_there_is_one_only(node):
    alone, together = generate_uid(), generate_uid()
    for study, step_id in ((alone, "S1"), (together, "S1"), (together, "S2")):
        scheduled_entry(node, study, step_id)
    n_create(node, begun(together, step_id=""))
    n_create(node, begun(alone, step_id=""), uid := generate_uid())
    until(lambda: entry_states(node, alone) == [("STARTED", uid)])
    assert entry_states(node, together) == [("SCHEDULED", "")] * 2


def test_entries_are_found_by_accession_number_where_no_study_fits(node):
    scheduled_entry(node, study := generate_uid(), accession="A*7")
    scheduled_entry(node, other := generate_uid(), accession="A17")
    n_create(node, grouped(generate_uid(), accession="A*7"), uid := generate_uid())
    until(lambda: entry_states(node, study) == [("STARTED", uid)])
    assert entry_states(node, other) == [("SCHEDULED", "")]


# What a site chooses


def test_a_strict_site_without_a_worklist(tmp_path):
    tables = {"plugin": {"sop-mpps": {"strict": True, "max_in_progress": 2}}}
    with node_thread(tmp_path, tables, plugins=["sop-mpps", "jobs", "database"]) as node:
        uid = generate_uid()
        assert n_create(node, without(begun(), "StudyID"), uid).Status == 0x0120
        assert n_create(node, begun(), uid).Status == 0x0000
        again = ended()
        again.PatientID = "4711"
        assert n_set(node, again, uid).Status == 0x0105
        empty = ended("DISCONTINUED", PerformedSeriesSequence=[])
        assert n_set(node, empty, uid).Status == 0x0121
        assert n_create(node, begun()).Status == 0x0000
        assert n_create(node, begun()).Status == 0x0213
        assert n_set(node, ended(), uid).Status == 0x0000
        assert n_create(node, begun()).Status == 0x0000


def test_a_step_is_for_whoever_may_do_workflow_with_its_images(tmp_path):
    rules = [
        {"who": ["CT1"], "may": ["workflow"], "modalities": ["CT"]},
        {"who": ["MR1"], "may": ["workflow"], "modalities": ["MR"]},
    ]
    uid, point = generate_uid(), EntryPoint("rules", "pacs_rules", "pacs_core.plugins")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(RULES)
        plugins = ["sop-mpps", "jobs", "database", "store-filesystem", "index-sqlite", point]
        tables = {"plugin": {"rules": {"rule": rules}}}
        with node_thread(tmp_path, tables, plugins=plugins) as node:
            assert n_create(node, begun(), uid, title="OTHER").Status == 0x0124
            assert n_create(node, begun(), uid, title="MR1").Status == 0x0124
            assert n_create(node, begun(), uid, title="CT1").Status == 0x0000
            assert n_set(node, ended(), uid, title="MR1").Status == 0x0112
            assert n_set(node, ended(), uid, title="CT1").Status == 0x0000
            assert n_get(node, uid)[0].Status == 0x0000
    sys.modules.pop("pacs_rules", None)


# Commands


def pacs(node, *arguments):
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*arguments, "--config", str(node.data_directory / "pacs.toml")])
    return code, out.getvalue(), err.getvalue()


def pacs_mpps(node, *arguments):
    return pacs(node, "mpps", *arguments)


def test_commands(node):
    uid, study = generate_uid(), generate_uid()
    n_create(node, begun(study, PatientID="P\x1b[31m"), uid)
    code, out, err = pacs_mpps(node, "list", f"StudyInstanceUID={study}", "Modality=CT")
    assert (code, err) == (0, "")
    assert uid in out
    assert "\x1b" not in out
    assert uid in pacs_mpps(node, "list", "--state", "IN_PROGRESS")[1]
    code, out, err = pacs_mpps(node, "list", "--state", "COMPLETED")
    assert (code, err) == (0, "")
    assert uid not in out
    code, out, _ = pacs_mpps(node, "show", uid)
    assert out.startswith("state: IN PROGRESS\ncreated by: CT1, ")
    assert json.loads("{" + out.partition("{")[2])["Modality"] == ["CT"]
    assert pacs_mpps(node, "show", "1.2.3")[0] == 1
    assert pacs_mpps(node, "list", "Nonsense=1")[0] == 2


def test_what_is_stored_of_a_step_is_shown(node):
    uid, sample = generate_uid(), SampleStudy(generate_uid()).make("CT")
    last = ended()
    (series,) = last.PerformedSeriesSequence
    series.SeriesInstanceUID = sample.values["SeriesInstanceUID"]
    series.ReferencedImageSequence[0].ReferencedSOPInstanceUID = sample.sop_instance_uid
    n_create(node, begun(sample.values["StudyInstanceUID"]), uid)
    n_set(node, last, uid)
    assert "instances: 0 of 2 are in the archive" in pacs_mpps(node, "show", uid)[1]
    ae = AE(ae_title="CT1")
    ae.add_requested_context(sample.sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
    image = decode_dataset(sample.encode(), EXPLICIT_VR_LITTLE_ENDIAN)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = EXPLICIT_VR_LITTLE_ENDIAN
    assert association.send_c_store(image).Status == 0x0000
    association.release()
    until(lambda: "instances: 1 of 2 are in the archive" in pacs_mpps(node, "show", uid)[1])


def test_a_step_whose_modality_failed_is_ended_by_hand(node, system):
    uid, study = generate_uid(), generate_uid()
    scheduled_entry(node, study)
    n_create(node, begun(study), uid)
    assert pacs_mpps(node, "discontinue", uid) == (0, f"{uid} is discontinued\n", "")
    assert n_set(node, ended(), uid).Status == 0x0110
    code, _, err = pacs_mpps(node, "discontinue", uid)
    assert (code, "may no longer be updated" in err) == (1, True)
    until(lambda: entry_states(node, study) == [("DISCONTINUED", uid)])
    until(lambda: ("set", "DISCONTINUED") in system.of(uid))


def test_what_happens_is_audited(node):
    uid = generate_uid()
    n_create(node, begun(), uid)
    n_create(node, begun(), uid)

    def events():
        files = [path for path in node.data_directory.rglob("*.jsonl") if path.is_file()]
        lines = [line for path in files for line in path.read_text().splitlines()]
        return [each for each in lines if uid in each]

    until(lambda: any('"0111"' in each for each in events()))
    until(lambda: any("mpps.told" in each for each in events()))
