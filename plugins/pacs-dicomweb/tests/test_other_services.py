"""WADO-URI (PS3.18 §9), capabilities (§8.9), deletion."""

import io
from xml.etree import ElementTree as ET

import pydicom
import pytest
from PIL import Image

from pacs_core.testing.datasets import SampleStudy

WADL = "{http://wadl.dev.java.net/2009/02}"


@pytest.fixture(scope="module")
def stored(shared):
    study = SampleStudy()
    ct, sr, pdf = study.make("CT"), study.make("SR"), study.make("PDF")
    assert shared.store(ct, sr, pdf).status_code == 200

    class Stored:
        web = shared
        image, report, document = ct, sr, pdf

    return Stored


def uri(dataset, **more):
    named = {
        "requestType": "WADO",
        "studyUID": dataset.values["StudyInstanceUID"],
        "seriesUID": dataset.values["SeriesInstanceUID"],
        "objectUID": dataset.sop_instance_uid,
    } | more
    return "/wado?" + "&".join(f"{name}={value}" for name, value in named.items() if value)


def picture(response):
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


class TestUri:
    def test_default_is_a_picture(self, stored):
        response = stored.web.get(uri(stored.image))
        assert response.headers["content-type"] == "image/jpeg"
        assert picture(response).size[0] > 0

    def test_a_report_is_a_page_if_nothing_else_is_asked_for(self, stored):
        """The default of text is text/html, as of one frame it is JPEG (PS3.18 Table 8.7.4-1)."""
        response = stored.web.get(uri(stored.report))
        assert response.headers["content-type"].startswith("text/html")
        response = stored.web.get(uri(stored.report, contentType="application/dicom"))
        assert response.headers["content-type"].startswith("application/dicom")

    @pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/gif"])
    def test_pictures(self, stored, kind):
        response = stored.web.get(uri(stored.image, contentType=kind, frameNumber="1"))
        assert response.headers["content-type"] == kind

    def test_file(self, stored):
        response = stored.web.get(uri(stored.image, contentType="application/dicom"))
        dataset = pydicom.dcmread(io.BytesIO(response.content))
        assert dataset.SOPInstanceUID == stored.image.sop_instance_uid
        syntax = "1.2.840.10008.1.2.4.90"
        path = uri(stored.image, contentType="application/dicom", transferSyntax=syntax)
        dataset = pydicom.dcmread(io.BytesIO(stored.web.get(path).content))
        assert dataset.file_meta.TransferSyntaxUID == syntax

    def test_size_region_and_window(self, stored):
        plain = picture(stored.web.get(uri(stored.image, contentType="image/png")))
        width, height = plain.size
        wide = picture(stored.web.get(uri(stored.image, columns=str(4 * width))))
        assert wide.size == (4 * width, 4 * height)
        high = picture(stored.web.get(uri(stored.image, rows=str(2 * height))))
        assert high.size == (2 * width, 2 * height)
        part = picture(stored.web.get(uri(stored.image, region="0,0,0.5,1")))
        assert part.size == (width // 2, height)
        window = {"windowCenter": "40", "windowWidth": "1", "contentType": "image/png"}
        assert picture(stored.web.get(uri(stored.image, **window))).size == plain.size

    def test_only_the_instance_is_named(self, stored):
        assert stored.web.get(uri(stored.image, studyUID="", seriesUID="")).status_code == 200

    @pytest.mark.parametrize(
        ("more", "status"),
        [
            ({"requestType": ""}, 400),
            ({"requestType": "QIDO"}, 400),
            ({"objectUID": ""}, 400),
            ({"objectUID": "1.2.3"}, 404),
            ({"studyUID": "1.2.3"}, 404),
            ({"seriesUID": "1.2.3"}, 404),
            ({"objectUID": "../../etc/passwd"}, 400),
            ({"contentType": "text/html"}, 406),
            ({"anonymize": "yes", "contentType": "image/jpeg"}, 406),
            ({"anonymize": "yes"}, 501),
            ({"anonymize": "perhaps"}, 400),
            ({"presentationUID": "1.2"}, 404),
            ({"frameNumber": "0"}, 400),
            ({"frameNumber": "2"}, 404),
            ({"frameNumber": "x"}, 400),
            ({"rows": "0"}, 400),
            ({"rows": "1000000000"}, 400),
            ({"rows": "1000000", "columns": "1000000"}, 400),
            ({"columns": "-1"}, 400),
            ({"windowCenter": "40"}, 400),
            ({"windowCenter": "40", "windowWidth": "0"}, 400),
            ({"region": "0,0,1"}, 400),
            ({"region": "0.5,0,0.5,1"}, 400),
            ({"region": "0,0,2,2"}, 400),
            ({"imageQuality": "101"}, 400),
            ({"frameNumber": "1", "contentType": "application/dicom"}, 400),
        ],
    )
    def test_mistakes(self, stored, more, status):
        response = stored.web.get(uri(stored.image, **more))
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert stored.web.get(uri(stored.image)).status_code == 200


class TestCapabilities:
    def test_description(self, shared):
        response = shared.client.options("/")
        assert response.headers["content-type"] == "application/vnd.sun.wadl+xml"
        root = ET.fromstring(response.content)
        [resources] = root.findall(f"{WADL}resources")
        assert resources.get("base") == f"{shared.url}/"
        found = {
            each.get("path"): [method.get("name") for method in each.findall(f"{WADL}method")]
            for each in resources
        }
        assert found["studies"] == ["GET", "POST"]
        assert "studies/{study}/series/{series}/instances/{instance}/frames/{frames}" in found
        names = {param.get("name") for param in resources.iter(f"{WADL}param")}
        assert {"includefield", "fuzzymatching", "viewport", "windowCenter"} <= names

    def test_methods_alone(self, shared):
        response = shared.client.options("/studies", headers={"Accept": "text/plain"})
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["allow"] == "GET, POST, HEAD, OPTIONS"


class TestDeletion:
    def test_off(self, stored):
        study = stored.image.values["StudyInstanceUID"]
        response = stored.web.client.delete(f"/studies/{study}")
        assert response.status_code == 405
        assert "DELETE" not in response.headers["allow"]

    def test_on(self, door):
        web, study = door(delete=True), SampleStudy()
        ct, other, mr = study.make("CT"), study.make("CT"), study.make("MR")
        web.store(ct, other, mr)
        root = f"/studies/{study.study_instance_uid}"
        series = f"{root}/series/{ct.values['SeriesInstanceUID']}"
        one = f"{series}/instances/{ct.sop_instance_uid}"
        assert web.client.delete(one).status_code == 204
        assert web.client.delete(one).status_code == 404
        assert web.get(one).status_code == 404
        assert web.stored() == 2
        assert web.client.delete(series).status_code == 204
        assert web.client.delete(root).status_code == 204
        assert web.stored() == 0
        assert web.client.delete(root).status_code == 404
