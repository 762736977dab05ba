"""What other interfaces of HL7 have stumbled over, by their public reports of faults."""

import pytest
from pacs_hl7.acknowledging import acknowledge
from pacs_hl7.framing import Deframer, frame
from pacs_hl7.messages import MessageError, read_message, split_messages

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
