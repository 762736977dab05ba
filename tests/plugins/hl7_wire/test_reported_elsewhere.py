"""What other interfaces of HL7 have stumbled over, by their public reports of faults, by MLLP."""

import pytest

from .conftest import Sender, framed, hl7_node, message, port_of
from .site import FIND, PLUGINS, Destination, Site, image

pytestmark = pytest.mark.peer
STUDY = "1.2.826.0.1.17.9"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    config = {"domains": {"HOSPITAL": ""}}
    with hl7_node(tmp_path_factory.mktemp("reported") / "node", config, PLUGINS) as node:
        yield node


@pytest.fixture
def his(node):
    with Sender(port_of(node)) as sender:
        yield sender


@pytest.fixture(scope="module")
def site(node):
    destination = Destination()
    with Site(node, destination) as site:
        yield site
    destination.server.shutdown()


def name_of(site, study):
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}
    (found,) = site.find(FIND, **keys, PatientID="", PatientName="")
    return found.PatientID, str(found.PatientName)


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"\r", b" ", b"\0", b"MSH", b"msh|^~\\&|", b"MSH|", b"MSH|^~\\&", b"{}", b"\xff\xfe\0"],
)
def test_a_frame_without_a_message_is_answered_and_so_is_the_next(his, rubbish):
    """An empty one ended the listener's thread, or was never answered."""
    his.write(b"\x0b" + rubbish + b"\x1c\r" + framed(message("ADT^A11", "R1")))
    assert [code for code, _ in his.answers(2)] == ["AE", "AA"]


@pytest.mark.parametrize("kind", ["ACK", "ACK^A08^ACK", "MCF"])
def test_an_acknowledgment_is_not_answered(his, kind):
    """Two engines that send to each other acknowledged acknowledgments for ever."""
    stray = message(kind, "K1", "MSA|AA|7")
    his.write(framed(stray) + framed(message("ADT^A11", "K2")))
    assert his.answers(1) == [("AA", "K2")]


@pytest.mark.parametrize("before", ["\ufeff", "\n", "\r\n", " "])
def test_what_comes_before_msh_is_passed_over(his, before):
    """A byte order mark, or a line that is empty: nothing was taken that began with it."""
    assert his.send(before + message("ADT^A11", "B1")) == [("AA", "B1")]


@pytest.mark.parametrize(
    ("named", "codec"),
    [
        ("8859/1", "latin-1"),
        ("8859-1", "latin-1"),
        ("ISO-8859-15", "iso8859-15"),
        ("ISO8859/1", "latin-1"),
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("UNICODE UTF-8~8859/1", "utf-8"),
        ("WINDOWS-1252", "cp1252"),
    ],
)
def test_a_character_set_is_known_by_what_systems_call_it(site, his, named, codec):
    """HL7 table 0211 has 8859/1 and UNICODE UTF-8; what is written is often something else."""
    number = sum(named.encode())
    study, patient = f"{STUDY}.{number}", f"S{number}"
    site.store(image(1, patient, study))
    head = message("ADT^A08", f"C-{named}").rstrip("\r") + "||||||" + named
    text = f"{head}\rPID|1||{patient}^^^HOSPITAL||M\u00fcller^J\u00f6rg\r"
    his.write(b"\x0b" + text.encode(codec) + b"\x1c\r")
    assert his.answer()["MSA"][1] == "AA"
    assert name_of(site, study) == (patient, "M\u00fcller^J\u00f6rg")


def test_a_character_set_that_nobody_knows_is_refused(his):
    head = message("ADT^A08", "C1").rstrip("\r") + "||||||EBCDIC"
    assert his.send(f"{head}\rPID|1||7^^^HOSPITAL\r") == [("AE", "C1")]


@pytest.mark.parametrize("identifiers", ["A~B", "B~A"])
def test_an_update_may_list_identifiers_that_were_merged(site, his, identifiers):
    """Both are the patient's: it was refused as of two patients, or the old one came back."""
    first, second = identifiers.split("~")
    suffix = f"{first}^^^HOSPITAL"  # each case has patients of its own
    study, old, new = f"{STUDY}.7{first == 'A':d}", f"DA{first}", f"DB{first}"
    site.store(image(1, old, study))
    merge = (f"PID|1||{new}^^^HOSPITAL||Roe^Jane", f"MRG|{old}^^^HOSPITAL")
    assert his.send(message("ADT^A40", f"D1{first}", *merge)) == [("AA", f"D1{first}")]
    listed = f"D{first}{suffix}~D{second}{suffix}"
    update = message("ADT^A08", f"D2{first}", f"PID|1||{listed}||Poe^Jane")
    assert his.send(update) == [("AA", f"D2{first}")]
    assert name_of(site, study) == (new, "Poe^Jane")


def test_who_was_merged_does_not_come_back(site, his):
    """What is still sent under the old identifier, and the merge the other way round."""
    study, old, new = f"{STUDY}.80", "EA^^^HOSPITAL", "EB^^^HOSPITAL"
    site.store(image(1, "EA", study))
    said = [
        message("ADT^A40", "E1", f"PID|1||{new}||Roe^Jane", f"MRG|{old}"),
        message("ADT^A08", "E2", f"PID|1||{old}||Old^Name"),
        message("ADT^A40", "E3", f"PID|1||{new}~{old}||Roe^Jane", f"MRG|{old}"),
        message("ADT^A40", "E4", f"PID|1||{old}||Old^Name", f"MRG|{new}"),
    ]
    assert [code for code, _ in his.send(*said)] == ["AA", "AA", "AA", "AE"]
    assert name_of(site, study) == ("EB", "Roe^Jane")


@pytest.mark.parametrize(
    ("kind", "segments", "code"),
    [
        ("ADT^A08", (), "AE"),  # the audit of it failed
        ("ADT^A08", ("PID|1||||Roe^Jane",), "AE"),
        ("ADT^A40", ("PID|1||7^^^HOSPITAL",), "AE"),
        ("ADT^A40", ("PID|1||7^^^HOSPITAL", "MRG|"), "AE"),
        ("ORM^O01", (), "AE"),
        ("ORM^O01", ("OBR|1|", "PID|1||7^^^HOSPITAL||Roe^Jane"), "AE"),
        ("QBP^Q22", ("QPD|Q22",), "AR"),
        ("ADT^A08", ("PID|1||7^^^HOSPITAL||Roe^Jane||20260230|Female",), "AA"),
        ("ADT^A08", ("PID|1||*^^^HOSPITAL||Roe*^Jane",), "AA"),
    ],
)
def test_what_lacks_something_is_answered(his, kind, segments, code):
    assert his.send(message(kind, "X1", *segments)) == [(code, "X1")]
