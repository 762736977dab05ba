"""Where elements begin, as ``pacs dump --offsets`` says."""

import re
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.api.commands import main
from pacs_core.dataset import encoding_of

FOLDER = Path(get_testdata_file("CT_small.dcm")).parent
LINE = re.compile(r"^ *(\d+) +\(([0-9A-F]{4}),([0-9A-F]{4})\) (\w\w)", re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm",
     "test-SR.dcm", "UN_sequence.dcm", "priv_SQ.dcm", "rtplan.dcm", "ExplVR_LitEndNoMeta.dcm"],
)  # fmt: skip
def test_at_each_offset_is_the_tag(capsys, name):
    path = FOLDER / name
    assert main(["dump", str(path), "--offsets"]) == 0
    out, content = capsys.readouterr().out, path.read_bytes()
    found = LINE.findall(out)
    syntax = getattr(dcmread(path, force=True).file_meta, "TransferSyntaxUID", None)
    order = "little" if syntax is None or encoding_of(syntax).little_endian else "big"
    elements = [line for line in out.splitlines() if re.match(r" *\d* *\(", line)]
    meta = [line for line in elements if "(0002," in line]
    assert len(found) == len(elements) - len(meta)
    for offset, group, element, _ in found:
        at = int(offset)
        words = (int(group, 16).to_bytes(2, order), int(element, 16).to_bytes(2, order))
        assert content[at : at + 4] == b"".join(words)


def test_pixel_data_lie_where_it_says(capsys):
    path = FOLDER / "CT_small.dcm"
    main(["dump", str(path), "--tag", "PixelData", "--offsets"])
    (match,) = re.findall(
        r"(\d+) \(7FE0,0010\).*<32768 bytes at byte (\d+)>", capsys.readouterr().out
    )
    header, value = map(int, match)
    assert value == header + 12
    assert path.read_bytes()[value : value + 32768] == dcmread(path).PixelData
