"""DCMTK's findscu, movescu and getscu against a node that holds two patients of eight images."""

from contextlib import ExitStack

import anyio
import pytest
from attrs import evolve
from pydicom import dcmread

from pacs_core.contracts import InstanceIdentity, InstanceRecord, StoredInstance
from pacs_core.dataset import tag_of
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.peer

ROOT = "1.2.826.0.1.7"
PATIENT = ("-k", "QueryRetrieveLevel=PATIENT")
STUDY = ("-k", "QueryRetrieveLevel=STUDY")
SERIES = ("-k", "QueryRetrieveLevel=SERIES")
IMAGE = ("-k", "QueryRetrieveLevel=IMAGE")


def keys(*texts):
    return [part for text in texts for part in ("-k", text)]


@pytest.fixture(scope="module")
def archive(
    module_dcmtk, tmp_path_factory, free_port, make_cts, write_files, received_files, stored
):
    """A node with sixteen images, and a storescp that it knows as a peer."""
    directory = tmp_path_factory.mktemp("archive")
    received, port = directory / "received", free_port()
    received.mkdir()
    # It agrees to no window, and takes what comes on several associations.
    several = {"associations": 2, "outstanding": 4}
    peer = {"ae_title": "DESTINATION", "host": "127.0.0.1", "port": port, **several}
    silent = {"ae_title": "SILENT", "host": "127.0.0.1", "port": free_port()}
    with ExitStack() as stack:
        options = ("+B", "--fork", "+xa", "-aet", "DESTINATION", "-od", received)
        stack.enter_context(module_dcmtk.serve("storescp", port, *options))
        tables = {"peers": {"destination": peer, "silent": silent}}
        node = stack.enter_context(node_thread(directory / "data", tables))
        files = write_files(directory / "files", make_cts())
        module_dcmtk.run("storescu", "+sd", "127.0.0.1", node.port, files)
        assert len(stored(node)) == 16
        yield node, received


@pytest.fixture
def find(dcmtk, archive):
    """Return a function that queries, and returns one attribute of the matches, sorted."""

    def find(wanted, *arguments, model="-S"):
        is_key = any(str(argument).startswith(f"{wanted}=") for argument in arguments)
        returned = [] if is_key else keys(wanted)
        found = dcmtk.find(archive[0], *arguments, *returned, model=model)
        return sorted(str(match.get(wanted, "")) for match in found)

    return find


@pytest.mark.parametrize(
    ("query", "patients"),
    [
        ((), ["P0", "P1"]),
        (["PatientID=P0"], ["P0"]),
        (["PatientID=P*"], ["P0", "P1"]),
        (["PatientID=?1"], ["P1"]),
        (["PatientID=p0"], []),
        (["PatientName=DOE*"], ["P1"]),
        (["PatientName=doe^john"], ["P1"]),
        (["PatientName=D?e^J*n"], ["P1"]),
        (["PatientName=Doe"], []),
        (["PatientSex=F", "PatientName=*"], ["P0"]),
        (["PatientID=P9"], []),
    ],
)
def test_patients(find, query, patients):
    assert find("PatientID", *PATIENT, *keys(*query), model="-P") == patients


def test_a_name_in_latin_1_matches_and_comes_back(dcmtk, archive):
    query = keys("SpecificCharacterSet=ISO_IR 192", "PatientName=MÜLLER*", "PatientID")
    (match,) = dcmtk.find(archive[0], *PATIENT, *query, model="-P")
    match.decode()
    assert str(match.PatientName) == "Müller^Anna"
    assert match.PatientID == "P0"


@pytest.mark.parametrize(
    ("query", "studies"),
    [
        ((), ["A00", "A01", "A10", "A11"]),
        (["StudyDate=20240115"], ["A00", "A10"]),
        (["StudyDate=20240101-20241231"], ["A00", "A10"]),
        (["StudyDate=20240116-"], ["A01", "A11"]),
        (["StudyDate=-20240114"], []),
        (["StudyDate=-20240115"], ["A00", "A10"]),
        (["StudyTime=080000-090000"], ["A00", "A10"]),
        (["StudyTime=1730-"], ["A01", "A11"]),
        (["StudyDate=20250101-", "PatientID=P1"], ["A11"]),
        (["StudyDescription=T*"], ["A01", "A11"]),
        ([f"StudyInstanceUID={ROOT}.0.0\\{ROOT}.1.1\\1.2.3"], ["A00", "A11"]),
        (["ModalitiesInStudy=CT", "StudyID=1"], ["A01", "A11"]),
        (["ModalitiesInStudy=MR"], []),
    ],
)
def test_studies(find, query, studies):
    assert find("AccessionNumber", *STUDY, *keys(*query)) == studies


def test_counts_are_computed(dcmtk, archive):
    counts = {
        "NumberOfStudyRelatedSeries": 2,
        "NumberOfStudyRelatedInstances": 4,
        "NumberOfPatientRelatedStudies": 2,
    }
    matches = dcmtk.find(archive[0], *STUDY, *keys(*counts))
    assert len(matches) == 4
    for match in matches:
        assert {name: match[name].value for name in counts} == counts


@pytest.mark.parametrize("model", ["-P", "-S"])
@pytest.mark.parametrize(
    ("query", "series"),
    [
        ((), ["0", "1"]),
        (["SeriesNumber=2"], ["1"]),
        (["SeriesDescription=*c*t"], ["0"]),
        (["RequestAttributesSequence[0].ScheduledProcedureStepID=SPS01"], ["0", "1"]),
        (["RequestAttributesSequence[0].ScheduledProcedureStepID=SPS1*"], []),
    ],
)
def test_series_of_a_study(find, query, series, model):
    above = keys(f"StudyInstanceUID={ROOT}.0.1", *(["PatientID=P0"] if model == "-P" else []))
    found = find("SeriesInstanceUID", *SERIES, *above, *keys(*query), model=model)
    assert found == [f"{ROOT}.0.1.{number}" for number in series]


@pytest.mark.parametrize(
    ("query", "images"), [((), ["1", "2"]), (["InstanceNumber=2"], ["2"]), (["Rows=5"], [])]
)
def test_images_of_a_series(find, query, images):
    above = keys(f"StudyInstanceUID={ROOT}.1.0", f"SeriesInstanceUID={ROOT}.1.0.1")
    found = find("SOPInstanceUID", *IMAGE, *above, *keys(*query))
    assert found == [f"{ROOT}.1.0.1.{number}" for number in images]


@pytest.mark.parametrize("syntax", ["-xi", "-xe", "-xb", "-xd"])
def test_queries_in_each_transfer_syntax(find, syntax):
    assert find("PatientID", syntax, *STUDY, *keys("AccessionNumber=A01")) == ["P0"]


def test_a_query_without_a_level_is_refused(dcmtk, archive):
    """A900 (PS3.4 Table C.4-1)."""
    address = ("127.0.0.1", archive[0].port)
    output = dcmtk.run("findscu", "-v", "-S", *keys("PatientID=P0"), *address, code=None)
    assert "Received Final Find Response (Error: DataSetDoesNotMatchSOPClass)" in output


def test_a_query_is_cancelled(dcmtk, pacs_node):
    """PS3.4 C.4.1.3.2: FE00 ends the responses, long before the matches do."""
    node = pacs_node()
    node.call(_fill, node.node.opened.index, 3000)
    image = keys("SOPInstanceUID", "StudyInstanceUID=1.2.840.9", "SeriesInstanceUID=1.2.840.9.1")
    arguments = ("-v", "-S", "--cancel", 2, *IMAGE, *image, "127.0.0.1", node.port)
    output = dcmtk.run("findscu", *arguments)
    assert "Sending Cancel" in output, output[-500:]
    assert "(Cancel: MatchingTerminatedDueToCancelRequest)" in output
    assert output.count("Received Find Response") < 3000


async def _fill(index, count):
    identity = InstanceIdentity("1.2.840.9", "1.2.840.9.1", "", "1.2.840.10008.5.1.4.1.1.2")
    instance = StoredInstance(identity, "1.2.840.10008.1.2.1", "", 1000, 500)
    attributes = {
        tag_of("StudyInstanceUID"): ("1.2.840.9",),
        tag_of("SeriesInstanceUID"): ("1.2.840.9.1",),
    }
    async with anyio.create_task_group() as tasks:
        for number in range(count):
            uid = f"1.2.840.9.1.{number}"
            each = evolve(instance, identity=evolve(identity, sop_instance_uid=uid), key=uid)
            own = {
                tag_of("SOPInstanceUID"): (uid,),
                tag_of("SOPClassUID"): (identity.sop_class_uid,),
            }
            tasks.start_soon(index.add, InstanceRecord(each, attributes | own))


@pytest.fixture
def move(dcmtk, archive):
    def move(*arguments, destination="DESTINATION", model="-S"):
        address = ("-aem", destination, "127.0.0.1", archive[0].port)
        return dcmtk.run("movescu", "-v", model, *arguments, *address, code=None)

    return move


@pytest.mark.parametrize(
    ("model", "query", "count"),
    [
        ("-S", (*IMAGE, *keys(f"SOPInstanceUID={ROOT}.0.0.0.1")), 1),
        ("-S", (*SERIES, *keys(f"SeriesInstanceUID={ROOT}.0.0.1")), 2),
        ("-S", (*STUDY, *keys(f"StudyInstanceUID={ROOT}.0.0")), 4),
        ("-P", (*PATIENT, *keys("PatientID=P1")), 8),
    ],
)
def test_what_is_moved_arrives_as_it_was_sent(
    move, archive, stored, received_files, model, query, count
):
    node, received = archive
    for path in received.iterdir():
        path.unlink()
    uid = f"{ROOT}.0.0" if model == "-S" else ""
    above = [] if STUDY[1] in query or not uid else keys(f"StudyInstanceUID={uid}")
    if IMAGE[1] in query:
        above += keys(f"SeriesInstanceUID={ROOT}.0.0.0")
    output = move(*query, *above, model=model)
    assert "Received Final Move Response (Success)" in output
    arrived = received_files(received)
    assert len(arrived) == count
    assert arrived <= stored(node)


def test_an_unknown_destination_is_refused(move):
    """A801 (PS3.4 Table C.4-2)."""
    output = move(*STUDY, *keys(f"StudyInstanceUID={ROOT}.0.0"), destination="NOWHERE")
    assert "MoveDestinationUnknown" in output


def test_a_destination_that_does_not_answer_fails_all_suboperations(move):
    output = move("-d", *STUDY, *keys(f"StudyInstanceUID={ROOT}.0.0"), destination="SILENT")
    assert "Failed Suboperations          : 4" in output
    assert "Received Final Move Response (Success)" not in output


def test_a_move_of_nothing_succeeds(move):
    output = move(*STUDY, *keys("StudyInstanceUID=1.2.3.4"))
    assert "Received Final Move Response (Success)" in output


@pytest.mark.parametrize("count", [1, 4])
def test_what_is_got_is_what_was_sent(dcmtk, archive, stored, received_files, tmp_path, count):
    node, _received = archive
    target = tmp_path / "got"
    target.mkdir()
    image = keys(f"SeriesInstanceUID={ROOT}.1.1.0", f"SOPInstanceUID={ROOT}.1.1.0.1")
    query = (*IMAGE, *image) if count == 1 else STUDY
    address = ("127.0.0.1", node.port)
    study = keys(f"StudyInstanceUID={ROOT}.1.1")
    dcmtk.run("getscu", "-S", "+B", "-od", target, *query, *study, *address)
    arrived = received_files(target)
    assert len(arrived) == count
    assert arrived <= stored(node)


def test_a_patient_is_got_by_patient_root(dcmtk, archive, tmp_path):
    node, _received = archive
    target = tmp_path / "got"
    target.mkdir()
    address = ("127.0.0.1", node.port)
    dcmtk.run("getscu", "-P", "-od", target, *PATIENT, *keys("PatientID=P0"), *address)
    assert {dcmread(path).PatientID for path in target.iterdir()} == {"P0"}
    assert len(list(target.iterdir())) == 8
