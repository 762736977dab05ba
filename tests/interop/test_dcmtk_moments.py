"""Dates and times in zones, asked for by DCMTK's findscu (PS3.4 C.2.2.2.5.3, C.4.1.1.3.2)."""

import time
from contextlib import ExitStack

import pytest

from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.peer

MOMENT = "20240110230000.000000-0500"


@pytest.fixture(scope="module")
def archive(module_dcmtk, tmp_path_factory, make_cts, write_files):
    """A node in UTC, with an image at 23:00 five hours behind UTC, and one that says nothing."""
    directory = tmp_path_factory.mktemp("moments")
    zoned, plain, *_ = make_cts()
    zoned.AcquisitionDateTime = MOMENT
    zoned.ContentDate, zoned.ContentTime = "20240110", "230000"
    zoned.TimezoneOffsetFromUTC = "-0500"
    plain.AcquisitionDateTime = "20240110230000"
    plain.ContentDate, plain.ContentTime = "20240110", "230000"
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        stack.callback(time.tzset)
        patch.setenv("TZ", "UTC0")
        time.tzset()
        node = stack.enter_context(node_thread(directory / "data"))
        files = write_files(directory / "files", [zoned, plain])
        module_dcmtk.run("storescu", "+sd", "127.0.0.1", node.port, files)
        yield node, zoned.SOPInstanceUID, plain.SOPInstanceUID
        patch.undo()


@pytest.mark.parametrize(
    ("keys", "zoned", "plain"),
    [
        ((f"AcquisitionDateTime={MOMENT}",), True, False),
        (("AcquisitionDateTime=20240111040000+0000",), True, False),
        (("AcquisitionDateTime=20240111-20240111",), True, False),
        (("AcquisitionDateTime=202401102300-0500",), True, False),
        (("AcquisitionDateTime=20240110",), False, True),
        (("AcquisitionDateTime=20240110180000-0500",), False, True),
        (("ContentDate=20240110",), True, True),
        (("ContentDate=20240111", "TimezoneOffsetFromUTC=+0000"), True, False),
        (("ContentTime=0400", "TimezoneOffsetFromUTC=+0000"), True, False),
        (("ContentDate=20240110", "TimezoneOffsetFromUTC=+0000"), False, True),
    ],
)
def test_moments_are_found_in_every_zone(dcmtk, archive, keys, zoned, plain):
    node, *uids = archive
    wanted = {"QueryRetrieveLevel=IMAGE", "SOPInstanceUID", "ContentDate", *keys}
    given = {key.split("=")[0] for key in keys}
    arguments = [part for key in wanted - given for part in ("-k", key)]
    matches = dcmtk.find(node, *arguments)
    found = {match.SOPInstanceUID: match for match in matches}
    assert found.keys() == {uid for uid, hit in zip(uids, (zoned, plain), strict=True) if hit}
    if zoned:
        assert found[uids[0]].TimezoneOffsetFromUTC == "-0500"
    if plain:
        named = any("Timezone" in key for key in keys)
        assert found[uids[1]].get("TimezoneOffsetFromUTC") == ("+0000" if named else None)
