"""Patient Information Reconciliation by HL7 over MLLP (IHE RAD TF-1 6), as DCMTK sees it."""

import signal
import socket
from contextlib import contextmanager

from pacs_core.cli.main import main
from pacs_core.testing.node import node_process

PLUGINS = (
    "hl7", "sop-worklist", "jobs", "database", "sop-storage", "sop-query-retrieve",
    "sop-verification", "store-filesystem", "index-sqlite", "audit-json",
)  # fmt: skip
KEYS = (
    "-k",
    "QueryRetrieveLevel=STUDY",
    "-k",
    "PatientID",
    "-k",
    "PatientName",
    "-k",
    "PatientSex",
)


@contextmanager
def serving(tmp_path, port, **settings):
    tables = {"plugin": {"hl7": {"port": port, **settings}}}
    with node_process(tmp_path / "node", tables, plugins=PLUGINS) as node:
        yield node


def adt(trigger, control_id, *segments):
    header = f"MSH|^~\\&|HIS|HOSPITAL|PACS||20261128||ADT^{trigger}|{control_id}|P|2.5.1"
    return "\r".join((header, *segments, ""))


class Sender:
    """A connection by MLLP."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.connection.makefile("rwb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.connection.close()

    def send(self, *messages):
        self.file.write(b"".join(b"\x0b" + each.encode() + b"\x1c\r" for each in messages))
        self.file.flush()
        return [self.read() for _ in messages]

    def read(self):
        received = b""
        while not received.endswith(b"\x1c\r"):
            piece = self.file.read(1)
            if not piece:
                raise ConnectionError
            received += piece
        fields = received.decode().split("\r")[1].split("|")
        return fields[1], fields[2]


def test_an_unknown_patient_is_found_under_the_right_name_once_it_is_known(
    dcmtk, free_port, tmp_path, make_cts, write_files, capsys
):
    """The unidentified patient of the profile: imaged, then merged, also what comes later."""
    port = free_port()
    images = list(make_cts())
    for image in images:
        image.PatientID, image.PatientName = "TRAUMA-1", "Doe^John"
    early = write_files(tmp_path / "early", [each for each in images if each.InstanceNumber == 1])
    late = write_files(tmp_path / "late", [each for each in images if each.InstanceNumber == 2])
    merge = adt("A40", "M1", "PID|1||4711^^^HIS||Roe^Jane||19700101|F", "MRG|TRAUMA-1^^^HIS")
    config = ("--config", str(tmp_path / "node" / "pacs.toml"))

    def find(node):
        return dcmtk.run("findscu", "-S", "-aec", "PACS", "127.0.0.1", str(node.port), *KEYS)

    def store(node, folder):
        options = ("+sd", "-aec", "PACS")
        dcmtk.run("storescu", *options, "127.0.0.1", str(node.port), str(folder))

    with serving(tmp_path, port, domains={"HIS": ""}) as node:
        store(node, early)
        add = ["worklist", "add", "TRAUMA-1", "Doe^John", "--modality", "CT"]
        assert main([*add, *config]) == 0
        with Sender(port) as sender:
            update = adt("A08", "U1", "PID|1||TRAUMA-1^^^HIS||Doe^Jane||19700101|F")
            assert sender.send(update) == [("AA", "U1")]
            assert "Doe^Jane" in find(node)
            assert sender.send(merge, merge) == [("AA", "M1"), ("AA", "M1")]
        store(node, late)
        found = find(node)
        assert "4711" in found
        assert "Roe^Jane" in found
        assert "TRAUMA" not in found
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
    with serving(tmp_path, port, domains={"HIS": ""}) as node, Sender(port) as sender:
        assert sender.send(merge) == [("AA", "M1")]  # answered before: the same
        assert "TRAUMA" not in find(node)
    capsys.readouterr()
    assert main(["hl7", "list", *config]) == 0
    listed = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[3:5] for line in listed] == [["done", "ADT^A40"], ["done", "ADT^A08"]]
    assert main(["worklist", "list", *config]) == 0
    shown = capsys.readouterr().out
    assert "4711" in shown
    assert "TRAUMA" not in shown
    assert main(["correct", "revert", "2", "--yes", *config]) == 0
    assert "taken back" in capsys.readouterr().out


def test_an_order_is_on_the_worklist_until_it_is_cancelled(dcmtk, free_port, tmp_path, capsys):
    """RAD-4: as findscu asks for the steps of a station."""
    port = free_port()
    keys = (
        "-k",
        "PatientName",
        "-k",
        "AccessionNumber",
        "-k",
        "ScheduledProcedureStepSequence[0].Modality=CT",
    )

    def order(control, control_id, name="Roe^Jane"):
        header = f"MSH|^~\\&|RIS|HOSPITAL|PACS||20261128||ORM^O01|{control_id}|P|2.3.1"
        obr = "OBR|1|P1|F1|CTH^CT Head||||||||||||||A77|RP1|SPS1||||CT"
        return "\r".join((header, f"PID|1||4711||{name}", f"ORC|{control}|P1|F1", obr, ""))

    with serving(tmp_path, port) as node, Sender(port) as sender:

        def find():
            address = ("-aec", "PACS", "127.0.0.1", str(node.port))
            return dcmtk.run("findscu", "-W", *address, *keys)

        assert sender.send(order("NW", "1")) == [("AA", "1")]
        assert "Roe^Jane" in find()
        assert sender.send(order("XO", "2", "Roe^Janet")) == [("AA", "2")]
        assert find().count("A77") == 1
        assert "Roe^Janet" in find()
        assert sender.send(order("CA", "3")) == [("AA", "3")]
        assert "A77" not in find()
        lacking = order("NW", "4").replace("||||CT", "")
        assert sender.send(lacking) == [("AE", "4")]
    capsys.readouterr()
    config = ("--config", str(tmp_path / "node" / "pacs.toml"))
    assert main(["hl7", "list", "--state", "failed", *config]) == 0
    assert "Modality is missing" in capsys.readouterr().out


def test_messages_that_fail_are_kept_and_can_be_replayed(free_port, tmp_path, capsys):
    port = free_port()
    config = ("--config", str(tmp_path / "node" / "pacs.toml"))
    with serving(tmp_path, port) as node, Sender(port) as sender:
        answers = sender.send(
            adt("A40", "1", "PID|1||A||Roe", "MRG|A"),
            adt("A08", "2", "PID|1||||Roe"),
            adt("A08", "3", "PID|1||unknown||Roe"),
            adt("A11", "4", "PID|1||unknown||Roe"),
            "MSH|^~\\&|HIS||||||ORU^R01|5|P|2.5",
            "MSH|^~\\&|HIS||||||ADT^A08||P|2.5\rPID|1||A||Roe",
            "this is no HL7",
        )
        assert answers == [
            ("AE", "1"), ("AE", "2"), ("AA", "3"), ("AA", "4"), ("AR", "5"), ("AE", ""), ("AE", ""),
        ]  # fmt: skip
        assert node.process.poll() is None
    capsys.readouterr()
    assert main(["hl7", "list", "--state", "failed", *config]) == 0
    listed = capsys.readouterr().out
    assert "is to be merged with itself" in listed
    assert len(listed.splitlines()) == 1 + 5
    assert main(["hl7", "replay", "1", *config]) == 1
    assert main(["hl7", "replay", "3", *config]) == 0
    assert main(["hl7", "show", "1", *config]) == 0
    shown = capsys.readouterr().out
    assert "MRG|A" in shown
    assert "MSA|AE|1|" in shown
