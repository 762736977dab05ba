"""What other interfaces of HL7 have stumbled over, by their public reports of faults."""

import pytest
from hypothesis import given, strategies as st
from pacs_hl7.acknowledging import acknowledge
from pacs_hl7.framing import Deframer, frame
from pacs_hl7.messages import Fault, MessageError, read_message, split_messages
from pacs_hl7.orders import read_orders
from pacs_hl7.patients import read_patient, read_updates
from pacs_hl7.values import fit

from pacs_core.dataset import tag_of

HEADER = "MSH|^~\\&|HIS|H|PACS|R|20261128||ADT^A08|1|P|2.5\r"


def name(text):
    return read_message(f"{HEADER}PID|1||1||{text}\r".encode()).get("PID", 5)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a\\E\\R\\", "a\\R\\"),  # the last one was swallowed
        ("\\E\\", "\\"),
        ("x\\X0D\\\\X0A\\y", "x\r\ny"),  # back to back
        ("\\", "\\"),  # whose name is a backslash
        ("BSV 4\\5 re.", "BSV 4\\5 re."),  # which begins no escape
        ("\\H\\bold\\N\\ plain", "bold plain"),
        ("one\\.br\\two", "one\rtwo"),
        ("\\F\\\\S\\\\R\\\\T\\", "|^~&"),
        ("\\XC3BC\\", "\u00fc"),
        ("\\XZZ\\", "\\XZZ\\"),
    ],
)
def test_escapes(written, meant):
    assert name(written) == meant


def test_frames_within_frames_and_nulls_between_them():
    stream = b"\0\0" + b"\x0b" + frame(b"a") + b"\x1c\r" + b"\0\r\n" + frame(b"b")
    assert list(Deframer(50).feed(stream)) == [b"a", b"b"]


def test_a_return_within_a_field_is_answered():
    broken = HEADER + "PID|1||1||Roe\rrest of a note|x\rPV1|1\r"
    assert read_message(broken.encode()).get("PID", 5) == "Roe"
    answer = acknowledge(broken.encode(), "1", application="A")
    assert answer.endswith(b"\r")
    assert read_message(answer).sender == "PACS|R"


def test_two_bytes_a_character_are_refused_not_guessed():
    with pytest.raises(MessageError):
        read_message(HEADER.encode("utf-16-be"))
    said = HEADER.rstrip("\r") + "||||||UNICODE UTF-16\r"
    with pytest.raises(MessageError):
        read_message(said.encode())


def test_a_message_without_its_last_return_or_with_line_feeds_is_whole():
    for ending in ("\r", "\n", "\r\n"):
        text = (HEADER + "PID|1||7").replace("\r", ending)
        (content,) = split_messages(text.encode())
        assert read_message(content).get("PID", 3) == "7"


def test_other_delimiters_have_escapes_of_their_own():
    text = "MSH*!~$&*HIS*H*PACS*R*20261128**ADT!A08*1*P*2.5\rPID*1**1**Roe$F$$S$$E$x!Jane\r"
    message = read_message(text.encode())
    assert (message.kind, message.control_id) == ("ADT^A08", "1")
    assert message.get("PID", 5) == "Roe*!$x"
    assert message.get("PID", 5, component=2) == "Jane"


def test_a_line_feed_within_a_field_ends_no_segment():
    text = (
        HEADER + "PID|1||7\rOBX|1|TX|A||Heart:\nnormal\nMSH|1||||||F\r"
    )  # typed into a report, where segments end with returns
    (content,) = split_messages(text.encode())
    message = read_message(content)
    assert message.get("OBX", 5) == "Heart:\nnormal\nMSH"
    assert list(message.segments) == ["MSH", "PID", "OBX"]


@pytest.mark.parametrize("identifiers", ["A^^^H~B^^^H", "B^^^H~A^^^H"])
def test_a_merge_may_list_also_the_identifier_that_is_no_more(identifiers):
    """It was merged with itself, and stayed."""
    text = HEADER.replace("A08", "A40") + f"PID|1||{identifiers}\rMRG|B^^^H\r"
    (merge,) = read_updates(read_message(text.encode()), {})
    assert (merge.entity.patient_id, merge.target.patient_id) == ("B", "A")


def order(**fields):
    given = {"ORC-2": "P1", "OBR-4": "C^CT Head", "OBR-18": "A1", "OBR-24": "CT", **fields}

    def segment(name, count):
        return "|".join([name, *(given.get(f"{name}-{n}", "") for n in range(1, count + 1))])

    pid = f"PID|1||{given.get('PID-3', '7')}||Roe^Jane"
    text = "\r".join((HEADER.replace("ADT^A08", "ORM^O01")[:-1], pid, segment("ORC", 12),
                      segment("OBR", 44), ""))  # fmt: skip
    message = read_message(text.encode())
    (read,) = read_orders(message, read_patient(message, {}), {})
    return read.attributes


@pytest.mark.parametrize(
    "fields",
    [
        {"OBR-18": "ACCESSION-NUMBER-17"},  # SH has 16; cut, it is another one
        {"OBR-18": "A\\E\\1"},
        {"OBR-24": "COMPUTED TOMOGRAPHY"},
        {"PID-3": "7" * 65},
    ],
)
def test_identifiers_that_no_modality_could_take_are_refused(fields):
    with pytest.raises(MessageError, match=r"which has|may have") as caught:
        order(**fields)
    assert caught.value.fault is Fault.DATA_TYPE


def test_what_describes_is_made_to_fit():
    text = "CT\\.br\\Head\nwith \\E\\ without " + "x" * 80
    (found,) = order(**{"OBR-4": f"C^{text}"})[tag_of("RequestedProcedureDescription")]
    assert found == ("CT Head with / without " + "x" * 80)[:64]
    (step,) = order(**{"OBR-24": "ct"})[tag_of("ScheduledProcedureStepSequence")]
    assert step[tag_of("Modality")] == ("CT",)


@given(st.text(max_size=200))
def test_what_describes_always_fits(text):
    for keyword in ("RequestedProcedureDescription", "ReferringPhysicianName"):
        found = fit(keyword, text)
        assert all(len(group) <= 64 for group in found.split("="))
        assert "\\" not in found
        assert found.isprintable()
