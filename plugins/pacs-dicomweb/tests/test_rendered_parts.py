"""Rendered studies of images, reports, documents and others (PS3.18 §10.4.1.1.3, §8.7.4)."""

import pytest

from pacs_core.testing.datasets import SampleStudy

from .test_clinical_documents import CDA, document
from .test_rendered import path_of, store_gradient

WAVEFORM = "1.2.840.10008.5.1.4.1.1.9.1.1"


def parts_for(*names):
    return ", ".join(f'multipart/related; type="{name}"' for name in names)


@pytest.fixture(scope="module")
def study(shared):
    """Return a study with everything in it, by SOP Instance UID what it is."""
    made = SampleStudy()
    image = store_gradient(shared, made)
    report, pdf, wave = made.make("SR"), made.make("PDF"), made.make("SR", SOPClassUID=WAVEFORM)
    cda = made.make(
        "PDF",
        EncapsulatedDocument=document(),
        SOPClassUID=CDA,
        MIMETypeOfEncapsulatedDocument="text/XML",
        EncapsulatedDocumentLength=str(len(document())),
    )
    assert shared.store(report, pdf, wave, cda).status_code == 200
    named = {"image": image, "report": report, "pdf": pdf, "cda": cda, "wave": wave}
    return made, {each.sop_instance_uid: name for name, each in named.items()}


@pytest.fixture
def get(shared, study, wire):
    def get(accept, query=""):
        made, named = study
        response = shared.get(f"/studies/{made.study_instance_uid}/rendered{query}", accept)
        assert response.status_code == 200, response.text
        found = {}
        for headers, content in wire.read_parts(response):
            uid = headers["content-location"].split("/instances/")[1].removesuffix("/rendered")
            found[named[uid]] = (headers["content-type"], content)
        first = next(iter(found.values()))[0].partition(";")[0]
        assert f'type="{first}"' in response.headers["content-type"]
        return found

    return get


HTML, PLAIN = "text/html; charset=utf-8", "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (
            "*/*",
            {"image": "image/jpeg", "report": HTML, "pdf": "application/pdf", "cda": HTML},
        ),
        (
            "multipart/related",
            {"image": "image/jpeg", "report": HTML, "pdf": "application/pdf", "cda": HTML},
        ),
        (parts_for("image/jpeg"), {"image": "image/jpeg"}),
        (parts_for("image/gif"), {"image": "image/gif"}),
        (
            parts_for("image/png", "text/plain"),
            {"image": "image/png", "report": PLAIN, "cda": PLAIN},
        ),
        (parts_for("text/*"), {"report": HTML, "cda": HTML}),
        (parts_for("text/xml", "application/pdf"), {"pdf": "application/pdf", "cda": "text/xml"}),
    ],
)
def test_each_has_the_form_that_is_accepted(get, accept, expected):
    assert {name: kind for name, (kind, _) in get(accept).items()} == expected


def test_what_is_in_the_parts(get):
    found = get("*/*")
    assert found["image"][1].startswith(b"\xff\xd8")
    assert b'<h1 dir="auto">' in found["report"][1]
    assert found["pdf"][1].startswith(b"%PDF")
    assert "<h1>Befund &amp; Beurteilung</h1>" in found["cda"][1].decode()
    named = get(None, "?accept=multipart/related;type=%22text/xml%22&viewport=16,16")
    assert named["cda"][1] == document()


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("image/jpeg", 406),  # several in one part cannot be
        (parts_for("video/mp4"), 406),
        (parts_for("application/dicom"), 406),
    ],
)
def test_none_is_accepted(shared, study, accept, status):
    path = f"/studies/{study[0].study_instance_uid}/rendered"
    assert shared.get(path, accept).status_code == status
    assert shared.get(f"{path}?window=0", accept).status_code == 400


def test_a_study_of_one_needs_no_parts(shared, wire):
    image, report = store_gradient(shared, SampleStudy()), SampleStudy().make("SR")
    shared.store(report)
    for made, accept in ((image, "image/png"), (report, "text/plain"), (report, "text/*")):
        study = path_of(made).split("/series")[0]
        response = shared.get(f"{study}/rendered", accept)
        assert response.status_code == 200
        assert response.content == shared.get(f"{path_of(made)}/rendered", accept).content
        parts = wire.read_parts(shared.get(f"{study}/rendered", f"{accept}, */*;q=0.1"))
        assert len(parts) == 1


def test_nothing_can_be_rendered(shared):
    wave = SampleStudy().make("SR", SOPClassUID=WAVEFORM)
    shared.store(wave)
    for resource in (path_of(wave), path_of(wave).split("/series")[0]):
        assert shared.get(f"{resource}/rendered").status_code == 404
        assert shared.get(f"{resource}/thumbnail").status_code == 404


def test_a_report_that_cannot_be_read_costs_nothing_but_itself(shared, wire):
    study = SampleStudy()
    nested = {"ValueType": "CONTAINER"}
    for _ in range(120):
        nested = {"ValueType": "CONTAINER", "ContentSequence": [nested]}
    broken, whole = study.make("SR", ContentSequence=[nested]), study.make("SR")
    shared.store(broken, whole)
    (part,) = wire.read_parts(shared.get(f"/studies/{study.study_instance_uid}/rendered"))
    assert whole.sop_instance_uid in part[0]["content-location"]
