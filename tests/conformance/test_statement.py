"""The document: its structure, its formats, and what must not stand in it."""

import json
import re
from html.parser import HTMLParser

import pytest
import trustme

from pacs_core.cli.main import main
from pacs_core.conformance import DocumentTable, StatementSection, to_html, to_markdown
from pacs_core.testing.node import write_config

CHAPTERS = [
    "1 Conformance Statement Overview",
    "2 Introduction",
    "3 Networking",
    "4 Configuration",
    "5 Media Interchange",
    "6 Support of Character Sets",
    "7 Security",
]
TABLES = {
    "node": {"ae_title": "STATED", "port": 4242},
    "peers": {"ct": {"ae_title": "CT_SCANNER", "host": "10.0.0.7", "port": 105}},
    "plugins": {"disabled": ["sop-query-retrieve"]},
}


@pytest.fixture
def write(tmp_path):
    def run(form, tables=TABLES):
        output = tmp_path / f"statement.{form}"
        config = write_config(tmp_path / "data", {"log": {}, **tables})
        arguments = ["--format", form, "--output", output, "--config", config]
        assert main(["conformance", *map(str, arguments)]) == 0
        return output.read_text(encoding="utf-8")

    return run


def test_the_chapters_are_those_of_ps3_2(write):
    text = write("md")
    assert text.startswith("# DICOM Conformance Statement\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == CHAPTERS
    numbers = re.findall(r"^#+ ([\d.]+) ", text, re.MULTILINE)
    assert len(numbers) == len(set(numbers))
    assert numbers == sorted(numbers, key=lambda number: [int(n) for n in number.split(".")])


@pytest.mark.parametrize(
    "row",
    [
        "| Verification SOP Class | 1.2.840.10008.1.1 | no | yes |",
        "| CT Image Storage | 1.2.840.10008.5.1.4.1.1.2 | yes | yes |",
        "| JPEG 2000 Image Compression | 1.2.840.10008.1.2.4.91 |",
        "| STATED | 127.0.0.1 | 4242 | this node |",
        "| CT\\_SCANNER | 10.0.0.7 | 105 | peer ct |",
        '| node.ae\\_title | "STATED" |',
        "| network.timeouts.artim | 30.0 |",
        "| plugin.sop-storage.retired | true |",
        "| ISO\\_IR 192 |",
        "| maximum PDU length received | 131072 bytes |",
    ],
)
def test_what_stands_in_it(write, row):
    assert row in write("md")


def test_what_is_disabled_does_not_stand_in_it(write):
    text = write("md")
    assert "Query/Retrieve Information Model" not in text
    assert "This application entity initiates no associations." in text


def test_json_holds_the_same_sop_classes_as_the_document(write):
    facts = json.loads(write("json"))
    uids = {each["uid"] for service in facts["services"] for each in service["sop_classes"]}
    table = write("md").split("## 2 ")[0]
    assert set(re.findall(r"\| ([\d.]+) \| (?:yes|no) \|", table)) == uids


def test_a_node_without_plugins_says_that_it_offers_nothing(write):
    names = [
        "sop-storage",
        "sop-query-retrieve",
        "sop-verification",
        "audit-json",
        "store-filesystem",
        "index-sqlite",
    ]
    assert "offers no network service" in write("md", {"plugins": {"disabled": names}})


class Page(HTMLParser):
    """Collects headings and cells, and that every element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_html_holds_what_markdown_holds(write):
    page = Page()
    page.feed(write("html"))
    page.close()
    assert page.open == []
    assert set(CHAPTERS) <= set(page.texts)
    cells = re.findall(r"(?<=\| )[^|\n]+?(?= \|)", write("md").replace("\\", ""))
    assert {cell.strip() for cell in cells} - {"---", ""} <= set(page.texts)


HOSTILE = "<script>alert(1)</script> | `x` [a](b)\n# heading"


def test_text_of_plugins_and_configuration_is_only_text():
    sections = [
        StatementSection("", "Title"),
        StatementSection("1", HOSTILE, (HOSTILE, DocumentTable(("a",), ((HOSTILE,),)))),
    ]
    html = to_html(sections)
    assert "<script>" not in html
    markdown = to_markdown(sections)
    assert "<script>" not in markdown.replace("\\<", "")
    assert "\n# heading" not in markdown
    assert "](b)" not in markdown.replace("\\](b)", "")
    assert max(line.replace("\\|", "").count("|") for line in markdown.splitlines()) == 2


def test_security_says_what_is_secured(write):
    assert "No Secure Transport Connection Profile is in use." in write("md")


def test_security_names_the_profiles_of_ps3_15(write, tmp_path):
    authority = trustme.CA()
    pem, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    server = authority.issue_cert("localhost")
    server.private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(ca)
    secured = {"certificate": str(pem), "ca": str(ca), "plain": False}
    peer = {"ae_title": "CT", "host": "h", "tls": {"profile": "bcp195-modified", "ca": str(ca)}}
    text = write("md", {"network": {"tls": secured}, "peers": {"ct": peer}})
    assert "(PS3.15 B.12) on port 2762, instead of the port that is not secured" in text
    assert "Certificates of peers are required." in text
    assert "Associations with peer ct are requested under the Modified BCP 195" in text
