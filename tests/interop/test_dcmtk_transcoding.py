"""DCMTK's storescp, movescu and getscu get what they accept, whatever the node has stored."""

import shutil
from contextlib import ExitStack

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.dataset import transfer_syntax_uid
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.peer

IMPLICIT, EXPLICIT, BIG, RLE, JLS, J2K = map(
    transfer_syntax_uid,
    ("implicit", "explicit", "big endian", "RLE", "JPEG-LS", "JPEG 2000 Lossless"),
)
STORED = {
    RLE: "MR_small_RLE.dcm",
    JLS: "MR_small_jpeg_ls_lossless.dcm",
    J2K: "MR_small_jp2klossless.dcm",
    EXPLICIT: "MR_small.dcm",
    "colour": "SC_rgb_rle_2frame.dcm",
}
QUERY = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.826.1")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Files of one study, by SOP Instance UID; and where they lie."""
    folder = tmp_path_factory.mktemp("originals")
    found = {}
    for number, name in enumerate(STORED.values(), 1):
        file = dcmread(get_testdata_file(name))
        file.StudyInstanceUID, file.SeriesInstanceUID = "1.2.826.1", "1.2.826.1.1"
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.1.1.{number}"
        file.save_as(folder / f"{number}.dcm")
        found[file.SOPInstanceUID] = file
    return folder, found


@pytest.fixture(scope="module")
def filled(module_dcmtk, originals, tmp_path_factory):
    """Data directory of a node that has got them all, each as it is."""
    directory = tmp_path_factory.mktemp("filled") / "data"
    with node_thread(directory) as node:
        for syntax, path in zip(STORED, sorted(originals[0].iterdir()), strict=True):
            proposed = {RLE: "-xr", JLS: "-xt", J2K: "-xv", "colour": "-xr"}.get(syntax, "-xe")
            module_dcmtk.run("storescu", proposed, "127.0.0.1", node.port, path)
    return directory


@pytest.fixture
def archive(filled, tmp_path):
    """Return a function that runs that node with tables of configuration."""
    with ExitStack() as stack:

        def archive(**tables):
            directory = tmp_path / "data"
            shutil.copytree(filled, directory)
            return stack.enter_context(node_thread(directory, tables))

        yield archive


def assert_received(folder, originals, syntaxes):
    received = {(file := dcmread(path)).SOPInstanceUID: file for path in folder.iterdir()}
    assert received.keys() == originals.keys()
    used = [received[uid].file_meta.TransferSyntaxUID for uid in originals]
    assert used == syntaxes
    for uid, file in received.items():
        assert (file.pixel_array == originals[uid].pixel_array).all()


@pytest.mark.parametrize(
    ("option", "peer", "syntaxes"),
    [
        ("+xi", {}, [IMPLICIT] * 5),
        ("+xe", {}, [EXPLICIT] * 5),
        ("+xr", {}, [RLE, EXPLICIT, EXPLICIT, EXPLICIT, RLE]),
        ("+xa", {}, [RLE, JLS, J2K, EXPLICIT, RLE]),
        ("+xa", {"preferred": ["JPEG-LS"]}, [JLS] * 5),
        ("+xv", {"preferred": ["JPEG-LS", "JPEG 2000 Lossless"]}, [J2K] * 5),
        ("+xa", {"accepted": ["big endian"]}, [BIG] * 5),
        ("+xa", {"accepted": ["RLE", "implicit"]}, [RLE, IMPLICIT, IMPLICIT, IMPLICIT, RLE]),
    ],
)
def test_storescp_gets_what_it_accepts(
    dcmtk, archive, originals, free_port, tmp_path, option, peer, syntaxes
):
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    address = {"ae_title": "DESTINATION", "host": "127.0.0.1", "port": port}
    node = archive(peers={"destination": {**address, **peer}})
    request = ("-aec", "PACS", "-aem", "DESTINATION", *QUERY, "127.0.0.1", node.port)
    with dcmtk.serve("storescp", port, "-aet", "DESTINATION", "-od", received, option):
        dcmtk.run("movescu", *request)
    assert_received(received, originals[1], syntaxes)


@pytest.mark.parametrize(
    ("option", "syntax"),
    [("+xe", EXPLICIT), ("+xb", BIG), ("+xr", RLE), ("+xt", JLS), ("+xv", J2K)],
)
def test_getscu_gets_what_was_negotiated(dcmtk, archive, originals, tmp_path, option, syntax):
    node = archive()
    folder = tmp_path / "got"
    folder.mkdir()
    dcmtk.run("getscu", option, "-aec", "PACS", *QUERY, "-od", folder, "+B", "127.0.0.1", node.port)
    assert_received(folder, originals[1], [syntax] * 5)
