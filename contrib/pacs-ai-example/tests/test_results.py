"""The model, and what is made of what it finds."""

from io import BytesIO

import pytest
from pydicom import dcmread

from pacs_ai_example.model import NothingToSeeError, find_component
from pacs_ai_example.multipart import read_parts, write_parts
from pacs_ai_example.results import infer, write
from pacs_ai_example.samples import make_series


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
