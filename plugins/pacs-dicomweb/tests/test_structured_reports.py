"""SR documents as pages and as text, over the wire (PS3.18 §8.7.4, §9, §10.4.1.1.3)."""

import re

import pytest

from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
WAVEFORM = "1.2.840.10008.5.1.4.1.1.9.1.1"


def code(meaning):
    return [{"CodeValue": "1", "CodingSchemeDesignator": "99T", "CodeMeaning": meaning}]


def content(kind, name, **values):
    return {
        "RelationshipType": "CONTAINS",
        "ValueType": kind,
        "ConceptNameCodeSequence": code(name),
        **values,
    }


def text(value):
    return content("TEXT", "Finding", TextValue=value)


def refer(uid, sop_class="1.2.840.10008.5.1.4.1.1.2", **more):
    reference = {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": uid, **more}
    return {"ReferencedSOPSequence": [reference]}


def store(web, *items, study=None, **values):
    report = (study or SampleStudy()).make("SR", ContentSequence=list(items), **values)
    assert web.store(report).status_code == 200
    return path_of(report)


@pytest.fixture(scope="module")
def path(shared):
    return store(shared, text(f"{MARKUP}\nsecond line"), SpecificCharacterSet="ISO_IR 192")


class TestForms:
    def test_a_page_is_what_comes_first(self, shared, path):
        """PS3.18 Table 8.7.4-1: text/html is the default for text."""
        for accept in (None, "*/*", "text/html", "text/*", "image/png;q=0.9, text/*;q=0.1"):
            response = shared.get(f"{path}/rendered", accept)
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert '<h1 dir="auto">Diagnostic Imaging Report</h1>' in response.text
        assert "&lt;script&gt;" in response.text
        assert "second line</span>" in response.text

    def test_nothing_of_it_runs(self, shared, path):
        response = shared.get(f"{path}/rendered")
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script|<img|style=", response.text)

    def test_text(self, shared, path):
        for accept in ("text/plain", "text/html;q=0.5, text/plain"):
            response = shared.get(f"{path}/rendered", accept)
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
        lines = response.text.splitlines()
        assert lines[0] == "Diagnostic Imaging Report"
        assert f"Finding: {MARKUP}" in lines
        assert "  second line" in lines
        named = shared.get(f"{path}/rendered?accept=text/plain")
        assert named.text == response.text

    def test_others_are_not_to_be_had(self, shared, path):
        for accept in ("application/pdf", "image/png", "text/xml"):
            response = shared.get(f"{path}/rendered", accept)
            assert response.status_code == 406
            assert "text/html" in response.text
        assert shared.get(f"{path}/frames/1/rendered").status_code == 404
        assert shared.get(f"{path}/thumbnail").status_code == 404

    def test_what_has_not_changed_is_not_sent_again(self, shared, path):
        tag = shared.get(f"{path}/rendered").headers["etag"]
        again = shared.get(f"{path}/rendered", headers={"If-None-Match": tag})
        assert again.status_code == 304
        other = shared.get(f"{path}/rendered", "text/plain", headers={"If-None-Match": tag})
        assert other.status_code == 200

    def test_by_uri(self, shared, path):
        """Text is a page by default there, too (Table 8.7.4-1); dcm4chee-arc-light#1737."""
        wado = f"/wado?requestType=WADO&objectUID={path.rpartition('/')[2]}"
        assert shared.get(wado).headers["content-type"] == "text/html; charset=utf-8"
        plain = shared.get(f"{wado}&contentType=text/plain")
        assert plain.text.startswith("Diagnostic Imaging Report\n")
        assert "sandbox" in shared.get(f"{wado}&contentType=text/html").headers[
            "content-security-policy"
        ]  # fmt: skip
        whole = shared.get(f"{wado}&contentType=application/dicom")
        assert whole.content[128:132] == b"DICM"
        assert shared.get(f"{wado}&contentType=image/jpeg").status_code == 406

    def test_a_key_object_selection(self, shared):
        study = SampleStudy()
        image = study.make("CT")
        assert shared.store(image).status_code == 200
        path = store(
            shared,
            content("IMAGE", "Key image", **refer(image.sop_instance_uid)),
            study=study,
            SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59",
            ConceptNameCodeSequence=code("Of Interest"),
        )
        assert f"{path_of(image)}/rendered" in shared.get(f"{path}/rendered").text


class TestLinks:
    def test_images_that_are_here_are_links_that_answer(self, shared):
        study = SampleStudy()
        image, other = study.make("CT"), study.make("CT")
        assert shared.store(image, other).status_code == 200
        uid = image.sop_instance_uid
        path = store(
            shared,
            content("IMAGE", "Here", **refer(uid)),
            content("IMAGE", "Frame", **refer(uid, ReferencedFrameNumber="1")),
            content("IMAGE", "Away", **refer("2.25.99")),
            content("WAVEFORM", "Curve", **refer(other.sop_instance_uid, WAVEFORM)),
            study=study,
        )
        page = shared.get(f"{path}/rendered").text
        links = re.findall(r'href="([^"]+)"', page)
        assert [each.split("/instances/")[1] for each in links] == [
            f"{uid}/rendered",
            f"{uid}/frames/1/rendered",
        ]
        for each in links:
            answer = shared.client.get(each)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert '<span class="uid">2.25.99</span>' in page

    def test_a_page_is_another_once_the_image_is_here(self, shared):
        study = SampleStudy()
        image = study.make("CT")
        path = store(
            shared, content("IMAGE", "Later", **refer(image.sop_instance_uid)), study=study
        )
        before = shared.get(f"{path}/rendered")
        assert "href" not in before.text
        assert shared.store(image).status_code == 200
        tag = {"If-None-Match": before.headers["etag"]}
        after = shared.get(f"{path}/rendered", headers=tag)
        assert (after.status_code, "href" in after.text) == (200, True)

    def test_addresses_within_a_report_are_no_links(self, shared):
        path = store(
            shared,
            text("https://evil.example/ javascript:alert(1)"),
            content("IMAGE", "Odd", **refer("1.2/../../x?a=javascript:alert(1)"[:60])),
        )
        page = shared.get(f"{path}/rendered").text
        assert "href" not in page
        assert shared.is_well()


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "山田^太郎 Ünïcödé ‏עברית‏"),
        ("ISO_IR 126", "Παπαδόπουλος"),
        ("GB18030", "王^小东"),
        ("ISO_IR 144", "Люкceмбypг"),
    ],
)
def test_character_sets(shared, character_set, name):
    """nroduit/Weasis#627, dcmjs#455: text is in the character set of the report, not a guess."""
    path = store(shared, text(name), SpecificCharacterSet=character_set)
    for accept in ("text/html", "text/plain"):
        assert name in shared.get(f"{path}/rendered", accept).text


class TestHostile:
    def test_what_is_nested_too_deeply_is_refused(self, shared):
        item = text("deepest")
        for _ in range(150):
            item = content("CONTAINER", "Level", ContentSequence=[item])
        path = store(shared, item)
        response = shared.get(f"{path}/rendered")
        assert response.status_code == 406
        assert "application/dicom" in response.text
        assert shared.is_well()

    def test_a_report_of_very_many_items(self, shared):
        path = store(shared, *(text(f"item {n}") for n in range(20_000)))
        page = shared.get(f"{path}/rendered").text
        assert page.count('class="item text"') == 20_000
        assert "item 19999" in shared.get(f"{path}/rendered", "text/plain").text
        assert shared.is_well()

    def test_a_long_text_is_there_to_its_end(self, shared):
        """What is longer than headers are read elsewhere (256 KiB) is not left out."""
        path = store(shared, text("a " * 300_000 + "end"))
        assert "a end</span>" in shared.get(f"{path}/rendered").text
