"""What was reported about servers and viewers of others from 2019 to 2026, asked of this one."""

import io
from xml.etree import ElementTree

import pytest
from pydicom.uid import JPEGLosslessSV1

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta, read_file_meta
from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of, picture, store_gradient
from .test_reports import store
from .test_retrieve import image_file, read

REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize("text", [b"NaN", b"abc", b"", b"1e400", b"-"])
def test_a_window_that_is_no_number(shared, text):
    """fo-dicom 1756: a picture could not be had at all."""
    made, _, content = image_file(SampleStudy())
    dataset = read(content)
    dataset.WindowCenter = dataset.WindowWidth = "77777777"
    out = io.BytesIO()
    dataset.save_as(out)
    assert shared.store(out.getvalue().replace(b"77777777", text.ljust(8))).status_code == 200
    assert picture(shared.get(f"{path_of(made)}/rendered", "image/png")).size == (48, 32)


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
def test_characters_that_xml_does_not_have(shared):
    """DICOMcloud 86, dicom-server 117: control characters, and NUL in a coded string."""
    path = store(
        shared,
        SampleStudy(),
        CT,
        StudyDescription="a\x0bb\x01",
        SeriesDescription="\x1a",
        Modality="CT\0",
    )
    answer = shared.get(f"{path}/metadata", 'multipart/related; type="application/dicom+xml"')
    assert answer.status_code == 200
    begin, end = answer.content.index(b"<?xml"), answer.content.rindex(b">")
    ElementTree.fromstring(answer.content[begin : end + 1])
    [metadata] = shared.found(f"{path}/metadata")
    assert metadata["00080060"]["Value"] == ["CT"]


@pytest.mark.parametrize(
    ("name", "fuzzy", "finds"),
    [
        ('Thoma"s', "true", False),
        ("Thoma's", "true", False),
        ("Harris%2A", "true", True),
        ("^Ford", "true", True),
        ("Harrison^Ford", "true", True),
        ("%25_%5B", "true", False),
        ("Harris%2A", "false", True),
    ],
)
def test_odd_names(shared, name, fuzzy, finds):
    """dicom-server 2014, 668: a quotation mark was an error of the server."""
    study = SampleStudy()
    store(shared, study, CT, PatientName="Harrison^Ford", Modality="CT")
    answer = shared.get(f"/studies?PatientName={name}&fuzzymatching={fuzzy}&limit=1000")
    assert answer.status_code == 200
    found = {each["0020000D"]["Value"][0] for each in answer.json()}
    assert (study.study_instance_uid in found) is finds


@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
def test_pictures_of_a_study_with_a_report(shared, resource):
    """raccoon-dicom 6: what is no image is passed over."""
    study = SampleStudy()
    store(shared, study, REPORT, Modality="SR")
    store_gradient(shared, study)
    answer = shared.get(
        f"/studies/{study.study_instance_uid}/{resource}",
        "image/jpeg, multipart/related; type=image/jpeg",
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom+json, multipart/related; type=application/octet-stream",
        'multipart/related; type="application/octet-stream", application/dicom+json;q=0.9',
        "application/dicom+json; transfer-syntax=*",
        "application/json, text/plain, */*",
    ],
)
def test_more_than_one_type_for_a_search(shared, accept):
    """OHIF/Viewers 3726: 406, because of a type that is for frames."""
    image = store_gradient(shared, SampleStudy())
    answer = shared.get(f"/studies/{image.values['StudyInstanceUID']}/series", accept)
    assert answer.status_code == 200
    assert "json" in answer.headers["content-type"]


def test_a_second_group_of_file_meta_information(shared):
    """fo-dicom 1376: the second took the place of the first."""
    made = SampleStudy().make("CT")
    uids = made.sop_class_uid, made.sop_instance_uid
    first, second = file_meta(*uids, EXPLICIT_VR_LITTLE_ENDIAN), file_meta(*uids, JPEGLosslessSV1)
    assert shared.store(first + second[132:] + made.encode()).status_code == 200
    content = shared.get(path_of(made), "application/dicom").content
    assert content.startswith(first[:132])
    assert read_file_meta(content).transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    assert shared.found(f"{path_of(made)}/metadata")


@pytest.mark.parametrize(
    "query",
    [
        "includefield=00081030%2C00080060",
        "includedefaults=false&includefield=PatientName",
        "includefield=AvailableTransferSyntaxUID",
        "00100020=*&00100010=**",
    ],
)
@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_fields_of_another_level(shared, level, query):
    """OHIF/Viewers 5073, dcm4chee-arc-light 4062, wsidicom 141: no error, and valid addresses."""
    store(shared, SampleStudy(), CT, Modality="CT", StudyDate="20250101")
    for each in shared.found(f"/{level}?{query}"):
        [address] = each["00081190"]["Value"]
        assert f"/studies/{each['0020000D']['Value'][0]}" in address


def test_one_frame_as_octets(shared):
    """dicom-server 3286: the frame came as application/dicom."""
    image = store_gradient(shared, SampleStudy())
    answer = shared.get(f"{path_of(image)}/frames/1", "application/octet-stream; transfer-syntax=*")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/octet-stream")
