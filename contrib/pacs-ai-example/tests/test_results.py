"""The model, and what is made of what it finds."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from pacs_ai_example.archive import Archive
from pacs_ai_example.model import NothingToSeeError, find_component
from pacs_ai_example.multipart import read_parts, write_parts
from pacs_ai_example.results import infer, write
from pacs_ai_example.samples import make_series
from pacs_ai_example.spool import Spool


def test_the_largest_component_is_found_and_measured() -> None:
    component = find_component(list(reversed(make_series(4))))
    assert int(component.mask.sum()) == 2 * 8 * 12
    assert component.volume == pytest.approx(2 * 8 * 12 * 0.5 * 0.5 * 2.0)
    with pytest.raises(NothingToSeeError):
        find_component(make_series(), threshold=1000.0)


def test_results_refer_to_the_images_that_they_are_about() -> None:
    images = make_series()
    segmentation, report = (dcmread(BytesIO(each)) for each in infer([write(i) for i in images]))
    assert segmentation.FrameOfReferenceUID == images[0].FrameOfReferenceUID
    assert segmentation.StudyInstanceUID == report.StudyInstanceUID == images[0].StudyInstanceUID
    assert str(segmentation.SOPInstanceUID) in str(report)


def test_multipart_bodies_come_back_as_they_were() -> None:
    files = [b"\r\n--a\r\n" * 3, b"\x00\xff" * 1000]
    assert list(read_parts(*write_parts(files))) == files


def test_what_was_only_begun_is_gone_after_a_kill_and_what_is_finished_stays(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path / "state")
    begun = spool.begin()
    spool.add(begun, b"1")
    kept = spool.keep([b"2", b"3"])
    again = Spool(tmp_path / "state")
    assert list(again.names()) == [kept]
    assert again.read(kept) == [b"2", b"3"]
    assert again.read(begun) == []
    again.remove(kept)
    assert list(tmp_path.rglob("*.dcm")) == []


@pytest.mark.parametrize("text", ["", "PACS", "PACS@host", "PACS@host:x", "@host:104"])
def test_an_archive_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="AE@HOST:PORT"):
        Archive.read(text, "AI")
