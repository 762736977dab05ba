"""Reports by ORU^R01: documents that are found and retrieved with their study."""

from base64 import b64encode

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pacs_core.api.commands import main
from pacs_core.testing.peer_programs import PeerPrograms

from .conftest import Sender, message, port_of
from .site import FIND, Site, image

STUDY = "1.2.826.0.1.17.5"
PDF = b"%PDF-1.4\n" + bytes(range(256)) * 40 + b"\n%%EOF\n"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def report(control_id, *observations, patient="7", accession="A1", status="F"):
    obr = (
        f"OBR|1|P1|F1|24627-2^CT Chest^LN|||||||||||||{'|'}{accession}||||20261128101500|||{status}"
    )
    obx = [f"OBX|{number}|{each}" for number, each in enumerate(observations, 1)]
    pid = f"PID|1||{patient}^^^HOSPITAL||Roe^Jane"
    return message("ORU^R01", control_id, pid, obr, *obx)


def test_reports_are_documents_of_their_study(serve, destination, tmp_path, capsys):
    impression = "19005-8^Impression^LN"
    observations = (
        f"ED|PDF^Report^L||HIS^Application^PDF^Base64^{b64encode(PDF).decode()}||||||F",
        "FT|18782-3^Findings^LN||Heart: normal.\\.br\\Lungs \\T\\ pleura: Müller's sign||||||F",
        f"TX|{impression}||No evidence of~pneumonia.||||||F",
        f"TX|{impression}||Follow up.||||||F",
        "RP|IMG^Picture^L||http://his/report?id=1\\T\\x=2||||||F",
        "TX|OLD^Old^L||Withdrawn||||||D",
    )
    with serve(reports=True) as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        site.store(image(1, "7", STUDY))
        assert his.send(report("R1", *observations)) == [("AA", "R1")]
        assert his.send(report("R2", *observations)) == [("AA", "R2")]  # the same documents
        keys = {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": STUDY, "Modality": ""}
        found = sorted(each.Modality for each in site.find(FIND, **keys))
        assert found == ["CT", "DOC", "SR"]
        documents = {each.Modality: each for each in site.get(STUDY)}
        pdf, text = documents["DOC"], documents["SR"]
        assert pdf.EncapsulatedDocument[: pdf.EncapsulatedDocumentLength] == PDF
        assert (pdf.PatientID, pdf.AccessionNumber, pdf.DocumentTitle) == ("7", "A1", "CT Chest")
        sections = [
            (item.ConceptNameCodeSequence[0].CodeMeaning, item.TextValue)
            for item in text.ContentSequence
        ]
        assert sections == [
            ("Findings", "Heart: normal.\rLungs & pleura: Müller's sign"),
            ("Impression", "No evidence of\r\npneumonia.\r\nFollow up."),
            ("Picture", "Reference: http://his/report?id=1&x=2"),
        ]
        assert (text.CompletionFlag, text.ContentDate) == ("COMPLETE", "20261128")
        text.file_meta = FileMetaDataset()
        text.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        text.save_as(tmp_path / "report.dcm", enforce_file_format=True)
        printed = PeerPrograms(tmp_path).run("dsrdump", "report.dcm")
        assert "No evidence of" in printed
        assert "Basic Text SR" in printed

        refused = his.send(
            report("R3", observations[1], accession="NONE"),
            report("R4", observations[1], patient="8"),
            report("R5", "ED|X||^^^Hex^00||||||F"),
            report("R6", "ED|X||^^^Base64^AAAA||||||F"),
            report("R7", observations[5]),
        )
        assert [code for code, _ in refused] == ["AE", "AE", "AE", "AE", "AA"]
        assert len(site.get(STUDY)) == 3
    capsys.readouterr()
    assert main(["hl7", "conflicts", *serve.config]) == 0
    listed = capsys.readouterr().out
    assert listed.count("unknown-study") == 2
    assert "is of patient 7, not of patient 8" in listed
