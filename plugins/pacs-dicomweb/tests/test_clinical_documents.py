"""HL7 CDA documents as pages, as text, and as they are, over the wire (PS3.3 A.45.2)."""

import re

import pytest
from hypothesis import given, strategies as st
from pacs_dicomweb.cda import DocumentError, read_document, write_page, write_text

from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of

CDA = "1.2.840.10008.5.1.4.1.1.104.2"

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="https://evil.example/cda.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc">
 <code code="11528-7" displayName="Radiology Report"/><title>Befund &amp; Beurteilung</title>
 <effectiveTime value="20240506070809+0200"/><languageCode code="de-DE"/>
 <recordTarget><patientRole><id extension="P1"/><patient>
  <name><prefix>Dr.</prefix><given>Jané</given><family>Doe</family></name>
  <birthTime value="19700203"/></patient></patientRole></recordTarget>
 <author><assignedAuthor><assignedPerson><name>Ada Lovelace</name></assignedPerson>
  <representedOrganization><name>Klinik</name></representedOrganization></assignedAuthor></author>
"""
BODY = """<component><structuredBody><component><section><title>Befund</title><text>
 <paragraph>Kein <content styleCode="Bold xRed">Infiltrat</content>.<br/>Herz normal.</paragraph>
 <paragraph><content revised="delete">Tumor</content> gesund</paragraph>
 <list listType="ordered"><caption>Liste</caption><item>eins</item><item>zwei</item></list>
 <table border="1" onclick="alert(1)"><caption>Werte</caption><thead><tr><th>Na</th><th>K</th></tr>
 </thead><tbody><tr><td colspan="2" style="x">140</td></tr></tbody></table>
 <linkHtml href="https://example.org/a?b=1&amp;c">mehr</linkHtml>
 <renderMultiMedia referencedObject="MM1"/>
 </text><component><section><title>Darin</title><text>tiefer</text></section></component>
</section></component></structuredBody></component></ClinicalDocument>"""


def document(body=BODY, header=HEADER):
    return (header + body).encode()


def narrative(inner):
    return document(
        "<component><structuredBody><component><section><title>S</title><text>"
        f"{inner}</text></section></component></structuredBody></component></ClinicalDocument>"
    )


def store(web, content, **more):
    values = {"SOPClassUID": CDA, "MIMETypeOfEncapsulatedDocument": "text/XML"}
    length = {"EncapsulatedDocumentLength": str(len(content))}
    padded = content + b"\0" * (len(content) % 2)
    made = SampleStudy().make("PDF", EncapsulatedDocument=padded, **values, **length, **more)
    assert web.store(made).status_code == 200
    return path_of(made)


@pytest.fixture(scope="module")
def path(shared):
    return store(shared, document())


class TestForms:
    def test_a_page_is_what_comes_first(self, shared, path):
        """PS3.18 Table 8.7.4-1: text/html is the default for text."""
        for accept in (None, "*/*", "text/html", "text/*"):
            response = shared.get(f"{path}/rendered", accept)
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/html; charset=utf-8"
        page = response.text
        assert '<html lang="de-DE">' in page
        assert "<h1>Befund &amp; Beurteilung</h1>" in page
        assert "<p>Dr. Jané Doe · 1970-02-03 · P1</p>" in page
        assert "<p>2024-05-06 07:08 · Ada Lovelace · Klinik</p>" in page
        assert "<h2>Befund</h2>" in page
        assert "<h3>Darin</h3>tiefer" in page
        assert "Kein <span><strong>Infiltrat</strong></span>.<br>Herz normal." in page
        assert "<span><del>Tumor</del></span> gesund" in page
        assert "<ol><li>Liste</li><li>eins</li><li>zwei</li></ol>" in page
        assert '<td colspan="2">140</td>' in page
        assert "(https://example.org/a?b=1&amp;c)" in page
        assert "[MM1]" in page

    def test_nothing_of_it_runs(self, shared, path):
        response = shared.get(f"{path}/rendered", "text/html")
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script|onclick|style=|href|evil", response.text)

    def test_text(self, shared, path):
        response = shared.get(f"{path}/rendered", "text/plain")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        lines = response.text.splitlines()
        assert lines[0] == "Befund & Beurteilung"
        for line in ("Kein Infiltrat.", "Herz normal.", "- eins", "140 |", "Darin", "tiefer"):
            assert line in lines, line
        assert "mehr (https://example.org/a?b=1&c)" in response.text
        assert "Tumor" not in response.text  # struck out, letter by letter
        assert "T\u0336u\u0336m\u0336o\u0336r\u0336 gesund" in response.text

    @pytest.mark.parametrize("accept", ["text/xml", "application/xml"])
    def test_as_it_is(self, shared, path, accept):
        response = shared.get(f"{path}/rendered", accept)
        assert response.content == document()
        assert response.headers["content-type"] == accept
        assert "sandbox" in response.headers["content-security-policy"]
        part = shared.get(f"{path}/rendered", accept, headers={"Range": "bytes=0-4"})
        assert (part.status_code, part.content) == (206, b"<?xml")

    def test_bulk_data(self, shared, path):
        """dcm4chee-arc-light#2112, #3089: its media type is that of the document."""
        (found,) = shared.found(f"{path}/metadata")
        uri = found["00420011"]["BulkDataURI"]
        response = shared.client.get(uri, headers={"Accept": "text/xml"})
        assert response.headers["content-type"] == "text/xml"
        assert response.content.rstrip(b"\0") == document()
        assert "sandbox" in response.headers["content-security-policy"]
        octets = shared.client.get(uri, headers={"Accept": "application/octet-stream"})
        assert octets.content == response.content

    def test_by_uri(self, shared, path):
        uid = path.rpartition("/")[2]
        wado = f"/wado?requestType=WADO&objectUID={uid}"
        page = shared.get(f"{wado}&contentType=text/html")
        assert (page.status_code, "Infiltrat" in page.text) == (200, True)
        text = shared.get(f"{wado}&contentType=text/plain")
        assert text.headers["content-type"].startswith("text/plain")
        assert shared.get(f"{wado}&contentType=text/xml").content == document()
        assert shared.get(wado).headers["content-type"].startswith("application/dicom")

    def test_others(self, shared, path):
        assert shared.get(f"{path}/rendered", "application/pdf").status_code == 406
        assert shared.get(f"{path}/rendered", "image/png").status_code == 406
        assert shared.get(f"{path}/thumbnail").status_code == 404
        tag = shared.get(f"{path}/rendered").headers["etag"]
        again = shared.get(f"{path}/rendered", headers={"If-None-Match": tag})
        assert again.status_code == 304


ENTITIES = """<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">
<!ENTITY b "&a;&a;&a;">]><ClinicalDocument xmlns="urn:hl7-org:v3"><title>&b;</title>
</ClinicalDocument>"""


class TestHostile:
    @pytest.mark.parametrize(
        "content",
        [
            ENTITIES.encode(),
            b"<ClinicalDocument xmlns='urn:hl7-org:v3'>" + b"<a>" * 5000,
            b"<ClinicalDocument xmlns='urn:hl7-org:v3'>"
            + b"<a/>" * 300_000
            + b"</ClinicalDocument>",
            b"<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>",
            b"not XML",
            b"",
            b"<?xml version='1.0' encoding='no-such'?><ClinicalDocument/>",
            b"\xff\xfe\0\0",
        ],
        ids=["entities", "deep", "many", "html", "text", "empty", "encoding", "bytes"],
    )
    def test_what_is_none_is_refused(self, shared, content):
        path = store(shared, content or b"  ")
        for accept in ("text/html", "text/plain"):
            response = shared.get(f"{path}/rendered", accept)
            assert response.status_code == 406, response.text
            assert "root:" not in response.text
        assert shared.get(f"{path}/rendered", "text/xml").content == (content or b"  ")
        assert shared.is_well()

    @pytest.mark.parametrize(
        "inner",
        [
            "<script>alert(1)</script>",
            "<paragraph onmouseover='alert(1)' styleCode='&quot;&gt;&lt;script&gt;'>x</paragraph>",
            "<linkHtml href='javascript:alert(1)'>x</linkHtml>",
            "&lt;img src=x onerror=alert(1)&gt;",
            "<![CDATA[<script>alert(1)</script>]]>",
            "<table><td colspan='1 onclick=alert(1)'>x</td></table>",
            "<h:iframe xmlns:h='http://www.w3.org/1999/xhtml' src='data:text/html,x'/>",
            "<h:script xmlns:h='http://www.w3.org/1999/xhtml'>alert(1)</h:script>",
            "<renderMultiMedia referencedObject='&quot;&gt;&lt;script&gt;alert(1)'/>",
        ],
    )
    def test_no_markup_comes_through(self, inner):
        page = write_page(read_document(narrative(inner)))
        check_markup(page)

    @given(st.text(), st.text(), st.sampled_from(["paragraph", "content", "td", "x", "linkHtml"]))
    def test_whatever_the_text(self, text, value, tag):
        legal = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")
        text, value = (legal.sub("", each) for each in (text, value))
        quoted = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        inner = text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")
        attributes = f'href="{quoted}" styleCode="{quoted}" colspan="{quoted}"'
        found = read_document(narrative(f"<{tag} {attributes}>{inner}</{tag}>"))
        check_markup(write_page(found))
        assert write_text(found).startswith("Befund")

    def test_pictures_within_are_no_text(self):
        media = (
            '<value mediaType="image/png" representation="B64">' + "QUJD" * 1_000_000 + "</value>"
        )
        entry = f"<entry><observationMedia ID='MM1'>{media}</observationMedia></entry>"
        content = document(BODY.replace("</text><component>", f"</text>{entry}<component>"))
        assert "[MM1]" in write_page(read_document(content))
        with pytest.raises(DocumentError, match="too much text"):
            read_document(narrative("x " * 1_500_000))

    def test_what_is_deleted_again_and_again(self):
        """It is struck out once, and does not double each time."""
        deep = '<content revised="delete">' * 80 + "gone" + "</content>" * 80
        found = read_document(narrative(deep))
        assert "g\u0336o\u0336n\u0336e\u0336\n" in write_text(found)
        assert len(write_page(found)) < 10_000

    @given(st.binary(max_size=200))
    def test_noise(self, content):
        with pytest.raises(DocumentError):
            read_document(content)


KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "p"),
    *("section", "span", "div", "table", "td", "small"),
}


def check_markup(page):
    """Check that there are no tags but those of the page, and no attributes of the document."""
    style = re.search("<style>.*?</style>", page).group()
    for tag, attributes in re.findall(r"<([A-Za-z]\w*)([^>]*)>", page.replace(style, "")):
        assert tag in KNOWN, tag
        assert not attributes or re.fullmatch(
            r'( (lang|charset|class|tabindex|name|content|colspan)="[\w,=/ -]*")+', attributes
        ), attributes


def test_other_bodies():
    def body(attributes, text):
        return document(
            f"<component><nonXMLBody><text {attributes}>{text}</text></nonXMLBody></component>"
            "</ClinicalDocument>"
        )

    plain = read_document(body('mediaType="text/plain"', "a &lt;b&gt;\nc"))
    assert "<pre>a &lt;b&gt;\nc</pre>" in write_page(plain)
    coded = read_document(body('mediaType="text/plain" representation="B64"', "SGVsbG8="))
    assert "Hello" in write_text(coded)
    pdf = read_document(body('mediaType="application/pdf" representation="B64"', "JVBERi0="))
    assert (pdf.text, pdf.other) == ("", "application/pdf")
    assert "application/pdf" in write_page(pdf)
    assert "application/pdf" in write_text(pdf)


def test_encodings():
    text = document().decode().replace("UTF-8", "ISO-8859-1")
    assert "Jané" in read_document(text.encode("latin-1")).lines[0]
    text = document().decode().replace("UTF-8", "UTF-16")
    for padding in (b"", b"\0"):
        assert "Jané" in read_document(text.encode("utf-16") + padding).lines[0]
