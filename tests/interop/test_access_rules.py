"""Authorizers at every door, by a plugin with a table of rules, driven by DCMTK and pynetdicom.

CTVIEWER may query, retrieve, and move to one place, what is of modality CT; TEAM sees that and one
MR study by two rules. For them nothing else exists: it is neither found, counted, nor sent, and
asking for it is answered like asking for what was never there.
"""

import json
import sys
import time
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from importlib_metadata import EntryPoint
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from pacs_core.contracts import (
    AccessAction,
    AccessDeniedError,
    InstanceNotFoundError,
    InstancePath,
    Level,
    Origin,
    Principal,
    Query,
)
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread, usual_plugins

SOURCE = Path(__file__).parents[1] / "distributions" / "pacs-rules" / "src"
POINT = EntryPoint("rules", "pacs_rules", "pacs_core.plugins")
MIXED, MR_ONLY, CT_ONLY = "1.2.3.1", "1.2.3.2", "1.2.3.3"
NOT_AUTHORIZED = 0x0124
READ = ["query", "retrieve"]
ALL = ["echo", "store", "query", "retrieve", "move", "delete"]


def rules():
    return {
        "roles": {"CTVIEWER": ["viewers"]},
        "rule": [
            {"who": ["ADMIN"], "may": ALL, "destinations": ["DEST", "ELSEWHERE"]},
            {"who": ["viewers"], "may": [*READ, "echo", "delete"], "modalities": ["CT"]},
            {"who": ["viewers"], "may": ["move"], "modalities": ["CT"], "destinations": ["DEST"]},
            {"who": ["TEAM"], "may": READ, "modalities": ["CT"], "studies": [CT_ONLY]},
            {"who": ["TEAM"], "may": READ, "studies": [MR_ONLY]},
            {"who": ["SCANNER"], "may": ["store"], "modalities": ["CT"]},
        ],
    }


@pytest.fixture(scope="module")
def received():
    return []


@pytest.fixture(scope="module")
def node(tmp_path_factory, received):
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.syspath_prepend(SOURCE)
        destination = AE("DEST")
        for sop_class in (CTImageStorage, MRImageStorage):
            destination.add_supported_context(sop_class)

        def keep(event):
            received.append(event.request.AffectedSOPInstanceUID)
            return 0x0000

        server = destination.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)]
        )
        stack.callback(server.shutdown)
        port = server.server_address[1]
        peer = {"host": "127.0.0.1", "port": port}
        tables = {
            "plugin": {"rules": rules()},
            "peers": {
                "dest": {"ae_title": "DEST", **peer},
                "elsewhere": {"ae_title": "ELSEWHERE", **peer},
            },
        }
        manager = usual_plugins(POINT)
        directory = tmp_path_factory.mktemp("rules") / "data"
        node = stack.enter_context(node_thread(directory, tables, manager))
        for dataset in instances():
            assert store(node, "ADMIN", dataset) == 0x0000
        yield node
    sys.modules.pop("pacs_rules", None)


def instances():
    """Yield two CT and one MR of one study, two MR of another, one CT of another patient."""
    for patient, study, modalities in (
        ("P1", MIXED, ("CT", "CT", "MR")),
        ("P1", MR_ONLY, ("MR", "MR")),
        ("P2", CT_ONLY, ("CT",)),
    ):
        sample = SampleStudy(study)
        for number, modality in enumerate(modalities, 1):
            yield make(sample, modality, number, patient)


def make(sample, modality, number, patient="P1"):
    study = sample.study_instance_uid
    uids = {
        "SeriesInstanceUID": f"{study}.{len(modality)}{ord(modality[0])}",
        "SOPInstanceUID": f"{study}.9.{number}",
    }
    values = {"PatientID": patient, "StudyDescription": f"of {modality}", **uids}
    return sample.make(modality, InstanceNumber=str(number), **values)


def associate(node, title, *contexts, **options):
    ae = AE(title)
    for context in contexts:
        ae.add_requested_context(context, "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS", **options)
    assert association.is_established
    return association


def store(node, title, sample):
    association = associate(node, title, sample.sop_class_uid)
    status = association.send_c_store(decode(sample)).Status
    association.release()
    return status


def decode(sample):
    dataset = dcmread(BytesIO(sample.encode()), force=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return dataset


def identifier(level, **keys):
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        tag = tag_for_keyword(keyword)
        # Wild cards are not valid in a CS, but in its key (PS3.4 C.2.2.2.4).
        mode = config.IGNORE
        dataset.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=mode))
    return dataset


def find(node, title, level, *, model=StudyRootQueryRetrieveInformationModelFind, **keys):
    """Return the matches of a C-FIND; its last status if it failed."""
    association = associate(node, title, model)
    answers = list(association.send_c_find(identifier(level, **keys), model))
    association.release()
    *matches, (last, _) = answers
    assert all(status.Status in (0xFF00, 0xFF01) for status, _ in matches)
    return [match for _, match in matches] if last.Status == 0x0000 else last.Status


def values(matches, *keywords):
    found = [tuple(_text(match.get(keyword)) for keyword in keywords) for match in matches]
    return sorted(found)


def _text(value):
    if value is None or isinstance(value, str):
        return value or ""
    return "\\".join(sorted(map(str, value))) if hasattr(value, "__iter__") else str(value)


def get(node, title, level, **keys):
    """Return the status of a C-GET and what came."""
    kept = []

    def keep(event):
        kept.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    storage = (CTImageStorage, MRImageStorage)
    association = associate(
        node,
        title,
        StudyRootQueryRetrieveInformationModelGet,
        *storage,
        ext_neg=[build_role(sop_class, scp_role=True) for sop_class in storage],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    model = StudyRootQueryRetrieveInformationModelGet
    *_, (last, _) = association.send_c_get(identifier(level, **keys), model)
    association.release()
    return last.Status, sorted(kept)


def move(node, title, destination, level, **keys):
    model = StudyRootQueryRetrieveInformationModelMove
    association = associate(node, title, model)
    *_, (last, _) = association.send_c_move(identifier(level, **keys), destination, model)
    association.release()
    return last.Status


def denials(node, title):
    log = (node.data_directory / "audit" / "audit.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in log]
    return [
        event["details"]
        for event in events
        if event["event"] == "access-denied" and event["user"] == title
    ]


# --- C-FIND


def test_an_administrator_sees_all(node):
    matches = find(
        node,
        "ADMIN",
        "STUDY",
        StudyInstanceUID="",
        ModalitiesInStudy="",
        NumberOfStudyRelatedInstances="",
    )
    keywords = "StudyInstanceUID", "ModalitiesInStudy", "NumberOfStudyRelatedInstances"
    assert values(matches, *keywords) == [
        (MIXED, "CT\\MR", "3"),
        (MR_ONLY, "MR", "2"),
        (CT_ONLY, "CT", "1"),
    ]


def test_patients_count_what_may_be_seen(node):
    counted = [f"NumberOfPatientRelated{what}" for what in ("Studies", "Series", "Instances")]
    model = PatientRootQueryRetrieveInformationModelFind
    keys = dict.fromkeys(["PatientID", *counted], "")
    everything = find(node, "ADMIN", "PATIENT", model=model, **keys)
    assert values(everything, *keys) == [("P1", "2", "3", "5"), ("P2", "1", "1", "1")]
    seen = find(node, "CTVIEWER", "PATIENT", model=model, **keys)
    assert values(seen, *keys) == [("P1", "1", "1", "2"), ("P2", "1", "1", "1")]


def test_studies_show_what_may_be_seen_of_them(node):
    keywords = (
        "StudyInstanceUID",
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    )
    matches = find(node, "CTVIEWER", "STUDY", **dict.fromkeys(keywords, ""))
    assert values(matches, *keywords) == [
        (MIXED, "CT", str(CTImageStorage), "of CT", "1", "2"),
        (CT_ONLY, "CT", str(CTImageStorage), "of CT", "1", "1"),
    ]


def test_series_and_images(node):
    series = find(
        node,
        "CTVIEWER",
        "SERIES",
        StudyInstanceUID=MIXED,
        SeriesInstanceUID="",
        Modality="",
        NumberOfSeriesRelatedInstances="",
        NumberOfStudyRelatedSeries="",
    )
    keywords = "Modality", "NumberOfSeriesRelatedInstances", "NumberOfStudyRelatedSeries"
    assert values(series, *keywords) == [("CT", "2", "1")]
    images = find(node, "CTVIEWER", "IMAGE", SOPInstanceUID="")
    assert values(images, "SOPInstanceUID") == [
        (f"{MIXED}.9.1",),
        (f"{MIXED}.9.2",),
        (f"{CT_ONLY}.9.1",),
    ]


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("STUDY", {"StudyInstanceUID": MR_ONLY}),
        ("STUDY", {"StudyInstanceUID": "", "ModalitiesInStudy": "MR"}),
        ("STUDY", {"StudyInstanceUID": "", "ModalitiesInStudy": "M*"}),
        ("STUDY", {"StudyInstanceUID": "", "StudyDescription": "of MR"}),
        ("STUDY", {"StudyInstanceUID": "", "StudyDescription": "*MR*"}),
        ("STUDY", {"StudyInstanceUID": "", "NumberOfStudyRelatedSeries": "2"}),
        ("STUDY", {"StudyInstanceUID": "", "NumberOfStudyRelatedInstances": "3"}),
        ("STUDY", {"StudyInstanceUID": "", "SOPClassesInStudy": str(MRImageStorage)}),
        ("SERIES", {"SeriesInstanceUID": "", "Modality": "MR"}),
        ("SERIES", {"StudyInstanceUID": MIXED, "SeriesInstanceUID": f"{MIXED}.277"}),
        ("SERIES", {"StudyInstanceUID": MR_ONLY, "SeriesInstanceUID": ""}),
        ("IMAGE", {"SOPInstanceUID": f"{MIXED}.9.3"}),
        ("IMAGE", {"SOPInstanceUID": "", "Modality": "?R"}),
        ("IMAGE", {"StudyInstanceUID": MR_ONLY, "SOPInstanceUID": ""}),
    ],
)
def test_no_key_finds_what_may_not_be_seen(node, level, keys):
    """Unique keys, relational queries, wild cards, and attributes that are worked out."""
    assert find(node, "ADMIN", level, **keys) != []
    assert find(node, "CTVIEWER", level, **keys) == []


def test_rules_add_up(node):
    seen = find(node, "TEAM", "STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances="")
    keywords = "StudyInstanceUID", "NumberOfStudyRelatedInstances"
    assert values(seen, *keywords) == [(MR_ONLY, "2"), (CT_ONLY, "1")]


def test_who_may_not_query_is_refused_and_that_is_recorded(node):
    assert find(node, "SCANNER", "STUDY", StudyInstanceUID="") == NOT_AUTHORIZED
    deadline = time.monotonic() + 60
    while "query" not in {each["action"] for each in denials(node, "SCANNER")}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.peer
def test_findscu(dcmtk, node):
    level = ("-k", "QueryRetrieveLevel=STUDY")
    keys = ("-k", "StudyInstanceUID", "-k", "NumberOfStudyRelatedInstances")
    found = dcmtk.find(node, "-aet", "CTVIEWER", *level, *keys)
    numbers = {match.StudyInstanceUID: match.NumberOfStudyRelatedInstances for match in found}
    assert numbers == {MIXED: 2, CT_ONLY: 1}
    assert dcmtk.find(node, "-aet", "CTVIEWER", *level, "-k", f"StudyInstanceUID={MR_ONLY}") == []


# --- C-GET, C-MOVE


def test_c_get_sends_what_may_be_seen(node):
    """PS3.4 C.4.3: what is hidden is no failed sub-operation either."""
    assert get(node, "CTVIEWER", "STUDY", StudyInstanceUID=MIXED) == (
        0x0000,
        [f"{MIXED}.9.1", f"{MIXED}.9.2"],
    )
    assert len(get(node, "ADMIN", "STUDY", StudyInstanceUID=MIXED)[1]) == 3


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("STUDY", {"StudyInstanceUID": MR_ONLY}),
        ("SERIES", {"StudyInstanceUID": MIXED, "SeriesInstanceUID": f"{MIXED}.277"}),
        ("IMAGE", {"SOPInstanceUID": f"{MIXED}.9.3"}),
    ],
)
def test_hidden_and_unknown_are_answered_alike(node, level, keys):
    unknown = {keyword: f"{value}.404" for keyword, value in keys.items()}
    assert len(get(node, "ADMIN", level, **keys)[1]) > 0
    assert get(node, "CTVIEWER", level, **keys) == get(node, "CTVIEWER", level, **unknown)
    moved = [move(node, "CTVIEWER", "DEST", level, **each) for each in (keys, unknown)]
    assert moved[0] == moved[1]


def test_c_move_to_where_it_is_allowed(node, received):
    received.clear()
    assert move(node, "CTVIEWER", "DEST", "STUDY", StudyInstanceUID=MIXED) == 0x0000
    assert sorted(received) == [f"{MIXED}.9.1", f"{MIXED}.9.2"]
    received.clear()
    assert move(node, "CTVIEWER", "ELSEWHERE", "STUDY", StudyInstanceUID=MIXED) == NOT_AUTHORIZED
    assert received == []
    assert move(node, "ADMIN", "ELSEWHERE", "STUDY", StudyInstanceUID=MIXED) == 0x0000
    assert len(received) == 3


# --- C-STORE


def test_c_store_of_what_may_be_stored(node):
    """A dataset of another modality is refused with 0124H, and nothing of it is kept."""
    sample = SampleStudy("1.2.3.50")
    assert store(node, "SCANNER", make(sample, "CT", 1, "P9")) == 0x0000
    assert store(node, "SCANNER", make(sample, "MR", 2, "P9")) == NOT_AUTHORIZED
    assert store(node, "CTVIEWER", make(sample, "CT", 3, "P9")) == NOT_AUTHORIZED
    kept = find(node, "ADMIN", "IMAGE", StudyInstanceUID="1.2.3.50", SOPInstanceUID="")
    assert values(kept, "SOPInstanceUID") == [("1.2.3.50.9.1",)]
    objects = [p for p in node.data_directory.rglob("*") if p.is_file() and "1.2.3.50" in str(p)]
    assert len(objects) <= 1
    node.call(_archive(node).delete, InstancePath("1.2.3.50", "1.2.3.50.9.1"), Origin("test"))


# --- the archive on behalf of somebody


def _archive(node, title=""):
    archive = node.node.opened.archive
    if not title:
        return archive
    roles = frozenset({"viewers"} if title == "CTVIEWER" else ())
    return archive.on_behalf_of(Origin("test", principal=Principal(title, roles)))


def test_locate_open_and_delete(node):
    hidden, seen = InstancePath(MIXED, f"{MIXED}.9.3"), InstancePath(MIXED, f"{MIXED}.9.1")
    whole, guarded = _archive(node), _archive(node, "CTVIEWER")
    instance = node.call(whole.locate, hidden)
    assert node.call(guarded.locate, hidden) is None
    assert node.call(guarded.locate, seen) == node.call(whole.locate, seen)
    for attempt in (
        lambda: node.call(guarded.open, instance),
        lambda: node.call(guarded.open_and_read, instance, 10),
        lambda: node.call(guarded.delete, hidden, Origin("test")),
    ):
        with pytest.raises(InstanceNotFoundError):
            attempt()
    assert node.call(whole.locate, hidden) == instance
    reader = node.call(guarded.open, node.call(whole.locate, seen))
    node.call(reader.close)


def test_what_is_denied_raises(node):
    guarded = _archive(node, "SCANNER")

    async def list_studies():
        return [each async for each in guarded.search(Query(Level.STUDY))]

    with pytest.raises(AccessDeniedError, match="no rule allows it"):
        node.call(list_studies)
    with pytest.raises(AccessDeniedError):
        node.call(guarded.delete, InstancePath(MIXED, f"{MIXED}.9.1"), Origin("test"))


def test_authorizers_are_told_what_is_read_for(node):
    guarded = node.node.opened.archive.on_behalf_of(
        Origin("test", principal=Principal("CTVIEWER", frozenset({"viewers"}))),
        reading=AccessAction.MOVE,
    )
    with pytest.raises(AccessDeniedError):
        node.call(_archive(node, "SCANNER").locate, InstancePath(MIXED, f"{MIXED}.9.1"))
    assert node.call(guarded.locate, InstancePath(MIXED, f"{MIXED}.9.1")) is not None
