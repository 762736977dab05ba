"""DCMTK's echoscu and storescu against a node: what they send is what is kept, bit by bit."""

import shutil

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pacs_core.dataset import MalformedDataset, read_file_meta, scan_file, tag_of
from pacs_core.dimse import is_valid_uid
from pacs_core.testing.waiting import until

pytestmark = pytest.mark.peer

STUDY, SERIES = tag_of("StudyInstanceUID"), tag_of("SeriesInstanceUID")
ENCODINGS = {
    "-xi": ImplicitVRLittleEndian,
    "-xb": ExplicitVRBigEndian,
    "-xd": DeflatedExplicitVRLittleEndian,
    "-xs": JPEGLosslessSV1,
    "-xy": JPEGBaseline8Bit,
    "-xx": JPEGExtended12Bit,
    "-xv": JPEG2000Lossless,
    "-xt": JPEGLSLossless,
    "-xr": RLELossless,
}


def test_echo(dcmtk, pacs_node):
    node = pacs_node()
    dcmtk.run("echoscu", "-aec", "PACS", "--repeat", 5, "127.0.0.1", node.port)


def test_echo_with_as_many_contexts_as_fit(dcmtk, pacs_node):
    node = pacs_node()
    output = dcmtk.run("echoscu", "-d", "-pts", 38, "-ppc", 128, "127.0.0.1", node.port)
    assert output.count("(Accepted)") == 128


def test_an_association_that_is_aborted_leaves_the_node_serving(dcmtk, pacs_node):
    node = pacs_node()
    dcmtk.run("echoscu", "--abort", "127.0.0.1", node.port)
    dcmtk.run("echoscu", "127.0.0.1", node.port)


@pytest.mark.parametrize(("checked", "code"), [(False, 0), (True, 1)])
def test_a_wrong_called_ae_title_is_refused_where_it_is_checked(dcmtk, pacs_node, checked, code):
    node = pacs_node({"network": {"check_called_ae_title": checked}})
    output = dcmtk.run("echoscu", "-v", "-aec", "ELSEWHERE", "127.0.0.1", node.port, code=code)
    assert ("Called AE Title Not Recognized" in output) == checked


def is_complete(path):
    """Whether a file names all that an archive must know (PS3.4 B.4.1.2)."""
    try:
        attributes = scan_file(path, {STUDY, SERIES}).attributes
    except MalformedDataset:
        return False
    return all(is_valid_uid("".join(attributes.get(tag, ()))) for tag in (STUDY, SERIES))


def test_whatever_dcmtk_can_send_is_kept_bit_by_bit(
    dcmtk, pacs_node, destination, sample_files, stored, received_files, tmp_path
):
    """The reference is DCMTK's own storescp, which got the same from the same sender."""
    node = pacs_node()
    port, received = destination()
    source = tmp_path / "source"
    source.mkdir()
    for number, path in enumerate(sample_files()):
        shutil.copy(path, source / f"{number}.dcm")
    sending = ("--no-halt", "--no-uid-checks", "-dn", "+sd", "+r")
    for target in (port, node.port):
        dcmtk.run("dcmsend", *sending, "127.0.0.1", target, source, code=None)
    reference, ours = received_files(received), stored(node)
    assert ours <= reference
    assert len(reference - ours) <= sum(not is_complete(path) for path in sample_files())
    assert len(ours) > 45
    assert len({syntax for syntax, _ in ours}) >= 8


@pytest.mark.parametrize("option", ENCODINGS)
def test_storescu_in_each_encoding(
    dcmtk, pacs_node, destination, sample_files, stored, received_files, option
):
    syntax = ENCODINGS[option]
    node = pacs_node()
    port, received = destination()
    paths = [path for path in sample_files(syntax) if is_complete(path)]
    assert paths
    for path in paths[:20]:  # each alone: storescu ends at a file that it cannot read
        for target in (port, node.port):
            arguments = (option, "-R", "-aec", "PACS", "127.0.0.1", target, path)
            dcmtk.run("storescu", *arguments, code=None)
    assert stored(node) == received_files(received)
    assert {kept for kept, _ in stored(node)} == {syntax}


def test_a_directory_tree_is_sent_at_once(
    dcmtk, pacs_node, make_cts, write_files, stored, tmp_path
):
    node = pacs_node()
    cts = list(make_cts())
    write_files(tmp_path / "tree" / "a", cts[:8])
    write_files(tmp_path / "tree" / "b" / "c", cts[8:])
    dcmtk.run("storescu", "+sd", "+r", "-xs", "127.0.0.1", node.port, tmp_path / "tree")
    assert len(stored(node)) == len(cts)


@pytest.mark.parametrize("length", [4096, 131072])
def test_any_pdu_length(dcmtk, pacs_node, make_ct, write_files, stored, tmp_path, length):
    node = pacs_node({"network": {"max_pdu_length": length}})
    ct = make_ct("1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", PatientID="P")
    ct.Rows = ct.Columns = 512
    ct.PixelData = bytes(range(256)) * 2048
    (path,) = write_files(tmp_path / "big", [ct]).iterdir()
    dcmtk.run("storescu", "-xe", "-pdu", length, "127.0.0.1", node.port, path)
    ((_syntax, dataset),) = stored(node)
    assert dataset.endswith(ct.PixelData)


def test_what_lacks_a_uid_is_refused_and_said_so(dcmtk, pacs_node, make_ct, write_files, tmp_path):
    """PS3.4 Table B.2-1, Cxxx: cannot understand."""
    node = pacs_node()
    (path,) = write_files(tmp_path / "bad", [make_ct("1.2.3", SeriesInstanceUID="1.2")]).iterdir()
    output = dcmtk.run("storescu", "-v", "127.0.0.1", node.port, path, code=None)
    assert "Received Store Response (Error: CannotUnderstand)" in output


def test_a_file_of_the_archive_is_a_file_for_dcmtk(
    dcmtk, pacs_node, make_ct, write_files, tmp_path
):
    node = pacs_node()
    ct = make_ct("1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", PatientID="P")
    (path,) = write_files(tmp_path / "one", [ct]).iterdir()
    dcmtk.run("storescu", "127.0.0.1", node.port, path)
    (kept,) = [p for p in node.data_directory.rglob("*.dcm") if p.is_file()]
    assert "PatientID" in dcmtk.run("dcmdump", "+fo", kept)
    assert dcmtk.run("dcmftest", kept).startswith("yes:")
    assert dcmread(kept).SOPInstanceUID == "1.2.3"
    assert read_file_meta(kept.read_bytes()).sop_instance_uid == "1.2.3"


def test_many_senders_at_once(dcmtk, pacs_node, make_cts, write_files, stored, tmp_path):
    node = pacs_node()
    cts = list(make_cts())
    folders = [write_files(tmp_path / f"{start}", cts[start::4]) for start in range(4)]
    senders = [
        dcmtk.start("storescu", "+sd", "-aet", f"SENDER{n}", "127.0.0.1", node.port, folder)
        for n, folder in enumerate(folders)
    ]
    said = [sender.communicate(timeout=30)[0] for sender in senders]
    assert [sender.returncode for sender in senders] == [0, 0, 0, 0], said
    assert len(stored(node)) == len(cts)


def test_an_association_aborted_after_storing_keeps_what_was_acknowledged(
    dcmtk, pacs_node, make_cts, write_files, stored, tmp_path
):
    node = pacs_node()
    folder = write_files(tmp_path / "files", list(make_cts())[:3])
    dcmtk.run("storescu", "--abort", "+sd", "127.0.0.1", node.port, folder)
    assert len(stored(node)) == 3


@pytest.mark.parametrize(
    "identity", [("-usr", "anna"), ("-usr", "anna", "-pwd", "secret"), ("+C",), ("-R",)]
)
def test_what_else_a_sender_negotiates(
    dcmtk, pacs_node, make_ct, write_files, stored, tmp_path, identity
):
    """User identity without positive response asked for (PS3.7 D.3.3.7), contexts combined."""
    node = pacs_node()
    ct = make_ct("1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", PatientID="P")
    (path,) = write_files(tmp_path / "one", [ct]).iterdir()
    dcmtk.run("storescu", *identity, "127.0.0.1", node.port, path)
    assert len(stored(node)) == 1


def test_a_password_is_nowhere_written(dcmtk, pacs_node, make_ct, write_files, tmp_path, caplog):
    node = pacs_node()
    ct = make_ct("1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", PatientID="P")
    (path,) = write_files(tmp_path / "one", [ct]).iterdir()
    user = ("-usr", "anna", "-pwd", "s3cr3t-word")
    dcmtk.run("storescu", *user, "127.0.0.1", node.port, path)
    audit = node.data_directory / "audit" / "audit.jsonl"
    until(lambda: b"association-released" in audit.read_bytes())
    written = [p.read_bytes() for p in node.data_directory.rglob("*") if p.is_file()]
    assert any(b"association-accepted" in data for data in written)
    assert not [data for data in written if b"s3cr3t-word" in data]
    assert "s3cr3t-word" not in caplog.text
