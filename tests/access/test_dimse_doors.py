"""Every DIMSE service, asked by those whom rules of every form restrict (PS3.4 Annexes A to C)."""

import json
from contextlib import contextmanager
from io import BytesIO

import pytest
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityWorklistInformationFind,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from pacs_core.api.commands import main
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.testing.datasets import SampleStudy

from .conftest import FORMS, HIDDEN, MIXED, NOT_SAID, NOWHERE, SEEN, instances, make

NOT_AUTHORIZED = 0x0124
STORAGE = (CTImageStorage, MRImageStorage)
COUNTS = tuple(f"NumberOf{entity}Related{what}" for entity, what in (
    ("Patient", "Studies"), ("Patient", "Series"), ("Patient", "Instances"),
    ("Study", "Series"), ("Study", "Instances"), ("Series", "Instances")))  # fmt: skip

PATIENT, STUDY = (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)
FINDS = (
    (PATIENT, "PATIENT", {"PatientID": "", "PatientName": "", **dict.fromkeys(COUNTS[:3], "")}),
    (PATIENT, "PATIENT", {"PatientID": "P2"}),
    (PATIENT, "PATIENT", {"PatientName": "*P2"}),
    (PATIENT, "PATIENT", {"PatientID": "", "NumberOfPatientRelatedStudies": "1"}),
    (PATIENT, "STUDY", {"PatientID": "P1", "StudyInstanceUID": "", "ModalitiesInStudy": ""}),
    (PATIENT, "STUDY", {"PatientID": "P2", "StudyInstanceUID": ""}),
    (PATIENT, "SERIES", {"PatientID": "P1", "StudyInstanceUID": MIXED, "SeriesInstanceUID": ""}),
    (PATIENT, "IMAGE", {"PatientID": "P1", "StudyInstanceUID": MIXED,
                        "SeriesInstanceUID": f"{MIXED}.2", "SOPInstanceUID": ""}),
    (STUDY, "STUDY", {"StudyInstanceUID": "", "StudyDescription": "", "StudyDate": "",
                      "ModalitiesInStudy": "", "SOPClassesInStudy": "", "PatientID": "",
                      "ReferringPhysicianName": "", **dict.fromkeys(COUNTS, "")}),
    (STUDY, "STUDY", {"StudyInstanceUID": HIDDEN}),
    (STUDY, "STUDY", {"StudyInstanceUID": f"{HIDDEN}\\{SEEN}"}),
    (STUDY, "STUDY", {"StudyInstanceUID": "", "ModalitiesInStudy": "MR"}),
    (STUDY, "STUDY", {"StudyInstanceUID": "", "ModalitiesInStudy": "M*"}),
    (STUDY, "STUDY", {"StudyInstanceUID": "", "StudyDescription": "*MR*"}),
    (STUDY, "STUDY", {"StudyInstanceUID": "", "StudyDate": "20000101-20151231"}),
    (STUDY, "STUDY", {"StudyInstanceUID": "", "NumberOfStudyRelatedInstances": "3"}),
    (STUDY, "STUDY", {"StudyInstanceUID": "", "NumberOfStudyRelatedSeries": "2"}),
    (STUDY, "SERIES", {"StudyInstanceUID": MIXED, "SeriesInstanceUID": "", "Modality": "",
                       "SeriesDescription": "", **dict.fromkeys(COUNTS, "")}),
    (STUDY, "SERIES", {"StudyInstanceUID": HIDDEN, "SeriesInstanceUID": ""}),
    (STUDY, "SERIES", {"SeriesInstanceUID": "", "Modality": "MR"}),
    (STUDY, "SERIES", {"SeriesInstanceUID": "", "InstitutionName": "O*"}),
    (STUDY, "IMAGE", {"SOPInstanceUID": "", "InstanceNumber": "", "Modality": ""}),
    (STUDY, "IMAGE", {"SOPInstanceUID": f"{MIXED}.2.3"}),
    (STUDY, "IMAGE", {"StudyInstanceUID": MIXED, "SeriesInstanceUID": f"{MIXED}.1",
                      "SOPInstanceUID": f"{MIXED}.2.3"}),
    (STUDY, "IMAGE", {"SOPInstanceUID": "", "Modality": "?R"}),
)  # fmt: skip
RETRIEVALS = (
    ("PATIENT", {"PatientID": "P1"}),
    ("PATIENT", {"PatientID": "P2"}),
    ("STUDY", {"StudyInstanceUID": MIXED}),
    ("STUDY", {"StudyInstanceUID": HIDDEN}),
    ("STUDY", {"StudyInstanceUID": f"{MIXED}\\{HIDDEN}"}),
    ("SERIES", {"StudyInstanceUID": MIXED, "SeriesInstanceUID": f"{MIXED}.2"}),
    ("IMAGE", {"StudyInstanceUID": MIXED, "SeriesInstanceUID": f"{MIXED}.2",
               "SOPInstanceUID": f"{MIXED}.2.3"}),
    ("IMAGE", {"StudyInstanceUID": MIXED, "SeriesInstanceUID": f"{MIXED}.1",
               "SOPInstanceUID": f"{MIXED}.2.3\\{MIXED}.1.1"}),
)  # fmt: skip


@contextmanager
def associate(guarded, role, contexts, title="ANYONE", **options):
    ae = AE(title)
    for context in contexts:
        ae.add_requested_context(context, EXPLICIT_VR_LITTLE_ENDIAN)
    negotiated = list(options.pop("ext_neg", ()))
    if role:
        identity = UserIdentityNegotiation()
        identity.user_identity_type = 5  # JSON web token (PS3.7 D.3.3.7.1)
        identity.primary_field = guarded.token(role).encode()
        negotiated.append(identity)
    port = guarded.node.port
    association = ae.associate("127.0.0.1", port, ae_title="PACS", ext_neg=negotiated, **options)
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def identifier(level, keys):
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        tag = tag_for_keyword(keyword)
        dataset.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE))
    return dataset


def find(association, model, level, keys):
    """Return all that is said: statuses, comments, identifiers."""
    return [
        (status.Status, status.get("ErrorComment"), match and match.to_json_dict())
        for status, match in association.send_c_find(identifier(level, keys), model)
    ]


def retrieve(responses):
    """Return all that is said of sub-operations in the end; how often before it, time decides."""
    said = [
        (status.to_json_dict() | {"00000120": None}, match and match.to_json_dict())
        for status, match in responses
    ]
    numbers = [
        {tag: each["Value"][0] for tag, each in status.items() if "00001020" <= tag <= "00001023"}
        for status, _ in said
    ]
    assert len({sum(each.values()) for each in numbers if each}) <= 1, numbers
    return said[-1:]


def models(level, service):
    named = {
        ("PATIENT", "GET"): PatientRootQueryRetrieveInformationModelGet,
        ("PATIENT", "MOVE"): PatientRootQueryRetrieveInformationModelMove,
        ("", "GET"): StudyRootQueryRetrieveInformationModelGet,
        ("", "MOVE"): StudyRootQueryRetrieveInformationModelMove,
    }
    return named["PATIENT" if level == "PATIENT" else "", service]


@pytest.fixture(scope="module")
def expected(oracle):
    """What the oracle says to FINDS."""
    with associate(oracle, "admin", (PATIENT, STUDY)) as association:
        return [find(association, *each) for each in FINDS]


@pytest.mark.parametrize("role", FORMS)
def test_c_find(guarded, expected, role):
    """Both information models, every level, relational keys, wild cards, ranges, counts."""
    number = tuple(FORMS).index(role)
    share = slice(number % 2, None, 2) if number else slice(None)  # all by the first form
    with associate(guarded, role, (PATIENT, STUDY)) as asked:
        for each, answer in zip(FINDS[share], expected[share], strict=True):
            assert find(asked, *each) == answer, each


def test_there_is_something_to_find(guarded, expected):
    with associate(guarded, "admin", (PATIENT, STUDY)) as asked:
        for each, answer in zip(FINDS, expected, strict=True):
            found = find(asked, *each)
            if each[2].get("SeriesInstanceUID") != f"{MIXED}.1":  # of which it is not
                assert len(found) > 1, each
                assert found != answer, each


WORKLIST = (
    {"PatientID": "", "StudyInstanceUID": ""},
    {"PatientID": "P3"},
    {"PatientName": "*P4"},
    {"StudyInstanceUID": MIXED, "PatientID": ""},
    {"ScheduledProcedureStepSequence": {"Modality": "MR", "ScheduledProcedureStepID": ""}},
    {"ScheduledProcedureStepSequence": {"ScheduledProcedureStepStartDate": "20000101-20151231"}},
    {"ScheduledProcedureStepSequence": {"ScheduledStationAETitle": "MODALITY", "Modality": "M*"}},
)


def ask_worklist(guarded, role):
    """Return all that C-FIND of the Modality Worklist says to WORKLIST (PS3.4 K.4.1)."""
    with associate(guarded, role, (ModalityWorklistInformationFind,)) as association:
        return [
            [
                (status.Status, status.get("ErrorComment"), match and match.to_json_dict())
                for status, match in association.send_c_find(
                    keys_of(keys), ModalityWorklistInformationFind
                )
            ]
            for keys in WORKLIST
        ]


@pytest.fixture(scope="module")
def expected_steps(oracle):
    """What the oracle says to WORKLIST."""
    return ask_worklist(oracle, "admin")


def keys_of(keys):
    dataset = Dataset()
    for keyword, value in keys.items():
        tag = tag_for_keyword(keyword)
        value = [keys_of(value)] if isinstance(value, dict) else value
        dataset.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE))
    return dataset


@pytest.mark.parametrize("role", FORMS)
def test_worklist(guarded, expected_steps, role):
    """A step is told of to those who may see the images that it asks for."""
    nothing = [[(0x0000, None, None)] for _ in WORKLIST]
    assert ask_worklist(guarded, role) == (nothing if role in NOT_SAID else expected_steps)


def test_there_are_steps_to_hide(guarded, expected_steps):
    for all_steps, permitted in zip(ask_worklist(guarded, "admin"), expected_steps, strict=True):
        assert all_steps != permitted
    assert len(expected_steps[0]) == 3


def get(guarded, role, level, keys):
    kept = []

    def keep(event):
        kept.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    model = models(level, "GET")
    roles = [build_role(sop_class, scp_role=True) for sop_class in STORAGE]
    handlers = [(evt.EVT_C_STORE, keep)]
    with associate(
        guarded, role, (model, *STORAGE), ext_neg=roles, evt_handlers=handlers
    ) as association:
        said = retrieve(association.send_c_get(identifier(level, keys), model))
    return said, sorted(kept)


def move(guarded, role, level, keys, to="DEST"):
    model = models(level, "MOVE")
    with associate(guarded, role, (model,)) as association:
        return retrieve(association.send_c_move(identifier(level, keys), to, model))


def retrieve_all(node, role, destination):
    """Return all that C-GET and C-MOVE of RETRIEVALS say and send."""
    found = []
    for level, keys in RETRIEVALS:
        destination.received.clear()
        got, said = get(node, role, level, keys), move(node, role, level, keys)
        found.append((level, keys, got, said, sorted(destination.received)))
    return found


@pytest.fixture(scope="module")
def expected_instances(oracle, destination):
    """What the oracle says to RETRIEVALS, and sends."""
    return retrieve_all(oracle, "admin", destination)


@pytest.mark.parametrize("role", FORMS)
def test_c_get_and_c_move(guarded, expected_instances, destination, role):
    """What is hidden is neither sent nor counted (PS3.4 C.4.2.1.6 to .9)."""
    assert retrieve_all(guarded, role, destination) == expected_instances


def test_there_is_something_to_retrieve(expected_instances):
    sent = [(kept, arrived) for _, _, (_, kept), _, arrived in expected_instances]
    assert [len(kept) for kept, _ in sent] == [4, 0, 2, 0, 2, 0, 0, 1]
    assert all(kept == arrived for kept, arrived in sent)


def test_destinations_are_part_of_a_rule(guarded, destination):
    destination.received.clear()
    said = move(guarded, "sender", "STUDY", {"StudyInstanceUID": SEEN}, "ELSEWHERE")
    assert said[-1][0]["00000900"]["Value"] == [NOT_AUTHORIZED]
    assert destination.received == []
    move(guarded, "sender", "STUDY", {"StudyInstanceUID": SEEN})
    assert len(destination.received) == 2


def decode(sample):
    dataset = dcmread(BytesIO(sample.encode()), force=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT_VR_LITTLE_ENDIAN
    return dataset


def test_c_store(guarded):
    """What may not be stored is refused alike, whether it is there or not."""
    fresh = make(SampleStudy(NOWHERE), NOWHERE, "MR", 1)
    present = next(each for each in instances() if each.sop_instance_uid == f"{HIDDEN}.2.1")
    answers = []
    with associate(guarded, "scanner", STORAGE) as association:
        for sample in (present, fresh):
            status = association.send_c_store(decode(sample))
            answers.append((status.Status, status.get("ErrorComment")))
    assert answers == [(NOT_AUTHORIZED, "the instance is not one that may be stored")] * 2
    with associate(guarded, "admin", (STUDY,)) as association:
        assert len(find(association, STUDY, "IMAGE", {"StudyInstanceUID": NOWHERE})) == 1


@pytest.mark.parametrize("role", ["", "unknown"])
def test_who_has_no_rule_is_refused_everywhere(guarded, role):
    with associate(guarded, role, (Verification, STUDY, *STORAGE)) as association:
        assert association.send_c_echo().Status == NOT_AUTHORIZED
        sample = make(SampleStudy(NOWHERE), NOWHERE, "CT", 1)
        assert association.send_c_store(decode(sample)).Status == NOT_AUTHORIZED
        [(status, comment, _)] = find(association, STUDY, "STUDY", {"StudyInstanceUID": ""})
        assert (status, comment) == (NOT_AUTHORIZED, "no rule allows it")
    for level, keys in RETRIEVALS[2:4]:
        said, kept = get(guarded, role, level, keys)
        assert said[-1][0]["00000900"]["Value"] == [NOT_AUTHORIZED]
        assert kept == []
        assert move(guarded, role, level, keys)[-1][0]["00000900"]["Value"] == [NOT_AUTHORIZED]


def test_echo_is_about_no_instances(guarded):
    """A rule with conditions does not allow it, even for every action."""
    for role, status in (("admin", 0x0000), ("everything", NOT_AUTHORIZED)):
        with associate(guarded, role, (Verification,)) as association:
            assert association.send_c_echo().Status == status


def test_commands_over_the_network(guarded, oracle, tmp_path, capfd):
    """By AE title and network: what `pacs find` and `pacs get` print and write."""
    asking = ("--ae-title", "CLI")
    answers = []
    for number, each in enumerate((guarded, oracle)):
        peer, said = f"PACS@127.0.0.1:{each.node.port}", []
        for level, keys in (
            ("study", ["ModalitiesInStudy=", "NumberOfStudyRelatedInstances="]),
            ("study", [f"StudyInstanceUID={HIDDEN}"]),
            ("series", [f"StudyInstanceUID={MIXED}", "Modality="]),
            ("image", ["SOPInstanceUID=", "Modality=MR"]),
        ):
            options = [part for key in keys for part in ("--key", key)]
            code = main(["find", peer, "--level", level, *options, *asking, "--format", "json"])
            said.append((code, capfd.readouterr().out))
        for uid in (MIXED, HIDDEN, NOWHERE):
            folder = tmp_path / f"{number}-{uid}"
            code = main(["get", peer, "-k", f"StudyInstanceUID={uid}", *asking, "-o", str(folder)])
            files = sorted(path.name for path in folder.rglob("*") if path.is_file())
            said.append((code, files))
            capfd.readouterr()
        answers.append(said)
    assert answers[0] == answers[1]
    assert "1.2.3.1" in answers[0][0][1]
    assert answers[0][4] == (0, [f"{MIXED}.1.1.dcm", f"{MIXED}.1.2.dcm"])
    assert answers[0][-2] == answers[0][-1]


def test_denials_are_audited(guarded):
    """With who asked, what for and why; the events of what was hidden say nothing of it."""
    with associate(guarded, "unknown", (STUDY,)) as association:
        find(association, STUDY, "STUDY", {"StudyInstanceUID": ""})
    folder = guarded.node.data_directory / "audit"
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    denied = [e for e in map(json.loads, lines) if e["event"] == "access-denied"]
    assert any(e["user"] == "unknown" and e["details"]["action"] == "query" for e in denied)
