"""Conversions of the encoding compared with those of DCMTK's dcmconv, by pydicom (PS3.5 §7)."""

import pytest
from pydicom import dcmread

from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DatasetRecoder,
    file_meta,
    read_file_meta,
)

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
OPTIONS = {
    IMPLICIT_VR_LITTLE_ENDIAN: "+ti",
    EXPLICIT_VR_LITTLE_ENDIAN: "+te",
    EXPLICIT_VR_BIG_ENDIAN: "+tb",
}
NAMES = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "liver_expb_1frame.dcm",
    "rtdose_expb_1frame.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
)


def elements(dataset):
    """Return the elements of a dataset, nested items too; no group lengths, no padding."""
    return {
        int(element.tag): [elements(item) for item in element.value]
        if element.VR == "SQ"
        else element.value or None
        for element in dataset
        if element.tag.element and element.tag != 0xFFFC_FFFC
    }


@pytest.mark.parametrize("target", OPTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_dcmconv_writes_the_same(dcmtk, sample_files, tmp_path, name, target):
    (path,) = [path for path in sample_files() if path.name == name]
    raw = path.read_bytes()
    meta = read_file_meta(raw)
    recoder = DatasetRecoder(meta.transfer_syntax_uid, target)
    pieces = [*recoder.feed(raw[meta.dataset_offset :]), *recoder.finish()]
    head = file_meta(meta.sop_class_uid, meta.sop_instance_uid, target)
    (tmp_path / "ours.dcm").write_bytes(b"".join([head, *pieces]))
    dcmtk.run("dcmconv", OPTIONS[target], path, tmp_path / "theirs.dcm")
    # It must also be able to read what we have written.
    dcmtk.run("dcmconv", OPTIONS[target], tmp_path / "ours.dcm", tmp_path / "again.dcm")
    ours, theirs, again = (
        elements(dcmread(tmp_path / f"{which}.dcm")) for which in ("ours", "theirs", "again")
    )
    assert ours == theirs
    assert again == theirs
