"""Patients are merged as HL7 tells, by a plugin of a third party on the public API alone."""

import socket
from pathlib import Path

import pytest

from pacs_core.testing.node import node_process

RECONCILER = Path(__file__).parents[1] / "distributions" / "pacs-reconciler" / "src"


@pytest.fixture
def reconciler(tmp_path, monkeypatch):
    """The distribution, installed for processes that are started."""
    site = tmp_path / "site"
    information = site / "pacs_reconciler-0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pacs-reconciler\nVersion: 0.1\n"
    )
    (information / "entry_points.txt").write_text(
        "[pacs_core.plugins]\nreconciler = pacs_reconciler\n"
    )
    (site / "pacs_reconciler").symlink_to(RECONCILER / "pacs_reconciler")
    monkeypatch.setenv("PYTHONPATH", str(site))


def adt(trigger, patient, name, *more, birth="19700101", sex="F"):
    """Return an ADT message about a patient."""
    header = f"MSH|^~\\&|HIS|HOSPITAL|PACS||20261128||ADT^{trigger}|MSG-{trigger}|P|2.5.1"
    return "\r".join((header, f"PID|1||{patient}||{name}||{birth}|{sex}", *more, ""))


def send(port, *messages):
    """Send messages by MLLP on one connection; return the fields of the acknowledgments."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        file = connection.makefile("rwb")
        for message in messages:
            file.write(b"\x0b" + message.encode() + b"\x1c\r")
            file.flush()
            received = b""
            while not received.endswith(b"\x1c\r"):
                received += file.read(1)
            answers.append(received.decode().split("\r")[1].split("|"))
    return answers


def test_a_merge_told_by_hl7_holds_for_what_is_there_and_what_comes(
    reconciler, dcmtk, free_port, tmp_path, make_cts, write_files
):
    port = free_port()
    tables = {"node": {"workers": 2}, "plugin": {"reconciler": {"port": port}}}
    images = list(make_cts())
    early = write_files(tmp_path / "early", [each for each in images if each.InstanceNumber == 1])
    late = write_files(tmp_path / "late", [each for each in images if each.InstanceNumber == 2])
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID", "-k", "PatientName")
    keys += ("-k", "PatientBirthDate", "-k", "NumberOfStudyRelatedInstances")
    with node_process(tmp_path / "node", tables) as node:
        address = ("-aec", "PACS", "127.0.0.1", node.port)
        dcmtk.run("storescu", *address, "+sd", early)
        answers = send(
            port,
            adt("A08", "P0", "Müller&von^Annä^^^Dr."),
            adt("A40", "P1^^^HOSPITAL&1.2&ISO", "Doe^Jane", "MRG|P0"),
            adt("A40", "P1^^^HOSPITAL&1.2&ISO", "Doe^Jane", "MRG|P1"),
            adt("A40", "P1", "Doe^Jane", "MRG|"),
            adt("A99", "P1", "Doe^Jane"),
            adt("A08", "NOBODY", "No^Body", birth="not a date"),
        )
        assert answers[:3] == [
            ["MSA", "AA", "MSG-A08", "correction 1 of 4"],
            ["MSA", "AA", "MSG-A40", "correction 2 of 4"],
            ["MSA", "AA", "MSG-A40", "correction 3 of 4"],
        ]
        assert [answer[1] for answer in answers[3:]] == ["AR", "AR", "AR"]
        assert "PatientBirthDate" in answers[5][3]
        dcmtk.run("storescu", *address, "+sd", late)
        found = dcmtk.find(node, *keys)
    assert [(each.PatientID, str(each.PatientName)) for each in found] == [("P1", "Doe^Jane")] * 4
    assert {each.PatientBirthDate for each in found} == {"19700101"}
    assert {each.NumberOfStudyRelatedInstances for each in found} == {4}
