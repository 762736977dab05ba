"""Messages: read, understood, acknowledged."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pacs_hl7.acknowledging import acknowledge
from pacs_hl7.config import Hl7Config, Hl7Peer
from pacs_hl7.messages import Fault, MessageError, read_message, split_messages
from pacs_hl7.orders import Control, read_orders
from pacs_hl7.patients import PatientUpdate, read_patient, read_updates
from pacs_hl7.weaknesses import find_weaknesses

from pacs_core.contracts import EntityPath, ServerTls, Severity
from pacs_core.dataset import keyword_of, tag_of

HEADER = "MSH|^~\\&|HIS|HOSPITAL|PACS|RIS|20261128||{kind}|{id}|P|{version}||||||{charset}"


def message(*segments, kind="ADT^A08^ADT_A01", control_id="1", version="2.5.1", charset=""):
    header = HEADER.format(kind=kind, id=control_id, version=version, charset=charset)
    return "\r".join((header, *segments, ""))


def updates(*segments, domains=None, **header):
    content = message(*segments, **header).encode()
    return list(read_updates(read_message(content), domains or {}))


def changes(**values):
    return {tag_of(k): (v,) if v else () for k, v in values.items()}


def test_an_update_says_what_a_patient_is_called_under_each_identifier():
    pid = "PID|1||4711^^^HOSP&1.2&ISO^PI~99^^^CITY||Roe&von^Jane^M^Jr^Dr^^L||197001011200|F"
    wanted = changes(PatientName="Roe^Jane^M^Dr^Jr", PatientBirthDate="19700101", PatientSex="F")
    found = updates(pid, domains={"HOSP": "", "1.3": "x"})
    assert found == [
        PatientUpdate(EntityPath("4711"), wanted),
        PatientUpdate(EntityPath("99", "CITY"), wanted),
    ]
    assert updates(pid, domains={"1.2": "by OID"})[0].entity == EntityPath("4711", "by OID")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        ("Roe\\T\\Sons^A\\S\\B", "Roe&Sons^A B"),
        ("a=b\\E\\c", "a b c"),
        ("Roe^Jane^^^^^M~Smith^Jane", "Roe^Jane"),
        ('""', ""),
    ],
)
def test_names_become_names_of_dicom(name, expected):
    (found,) = updates(f"PID|1||1||{name}")
    assert found.changes == changes(PatientName=expected)


def test_empty_fields_say_nothing_and_quotation_marks_that_there_is_no_value():
    (found,) = updates('PID|1||1||||""|')
    assert found.changes == changes(PatientBirthDate="")
    assert updates("PID|1||1") == []
    (found,) = updates("PID|1||1||||1970|U")
    assert found.changes == changes(PatientBirthDate="", PatientSex="")


def test_a_merge_gives_prior_identifiers_that_of_the_same_domain():
    first, second, third = updates("PID|1||B^^^X~b^^^Y||Roe", "MRG|a^^^Y~A^^^X", kind="ADT^A40")[:3]
    identity = changes(PatientName="Roe", PatientID="b", IssuerOfPatientID="Y")
    former = changes(PatientID="a", IssuerOfPatientID="Y", TypeOfPatientID="TEXT")
    assert first == PatientUpdate(
        EntityPath("a", "Y"),
        {**identity, tag_of("OtherPatientIDsSequence"): (former,)},
        is_merge=True,
    )
    assert first.target == EntityPath("b", "Y")
    assert second.changes[tag_of("PatientID")] == ("B",)
    assert third == PatientUpdate(EntityPath("B", "X"), changes(PatientName="Roe"))


def test_a_message_merges_as_many_patients_as_it_has_segments_for():
    """HL7 V2.5.1 3.3.40: each PID is followed by the MRG that it takes the place of."""
    found = updates(
        "PID|1||B||Roe~Smith||19700101|F", "MRG|A", "PV1|1", "PID|2||D", "MRG|C", "MRG|c",
        kind="ADT^A40",
    )  # fmt: skip
    merges = [(each.entity.patient_id, each.target.patient_id) for each in found if each.is_merge]
    assert merges == [("A", "B"), ("C", "D"), ("c", "D")]
    assert found[0].changes[tag_of("PatientName")] == ("Roe",)
    assert tag_of("PatientName") not in found[2].changes
    # With one PID all belong to it, wherever they are.
    (found,) = updates("MRG|A", "PID|1||B", kind="ADT^A40")
    assert (found.entity.patient_id, found.target.patient_id) == ("A", "B")


@pytest.mark.parametrize(
    ("segments", "kind"),
    [
        (("PID|1||B", "MRG|A", "PID|2||D"), "ADT^A40"),
        (("PID|1||B", "PID|2||D", "MRG|C"), "ADT^A40"),
        (("MRG|A", "PID|1||B", "PID|2||D", "MRG|C"), "ADT^A40"),
        (("PID|1||B", "MRG|A", "PID|2||", "MRG|C"), "ADT^A40"),
        (("PID|1||||Roe",), "ADT^A08"),
        (("PV1|1",), "ADT^A08"),
        (("PID|1||B||Roe",), "ADT^A40"),
    ],
)
def test_what_lacks_an_identifier_is_refused(segments, kind):
    with pytest.raises(MessageError):
        updates(*segments, kind=kind)


def orders(*segments, mapping=None, kind="ORM^O01", **header):
    found = read_message(message("PID|1||7||Roe^Jane", *segments, kind=kind, **header).encode())
    return list(read_orders(found, read_patient(found, {}), mapping or {}))


def plain(attributes):
    return {
        keyword_of(tag): plain(values[0]) if isinstance(values[0], dict) else values[0]
        for tag, values in attributes.items()
    }


def test_an_order_becomes_an_entry_of_the_worklist():
    """As RAD TF-2 Appendix B maps it, each OBR a step of its own."""
    (one, two) = orders(
        "PV1|1|O||||||99^House^Gregory^^^Dr",
        "ORC|NW|P1|F1||||^^^20261201093000",
        "OBR|1|P1|F1|CTH^CT Head^L^X^CT of the head||||||||||||||A77|RP1|SPS1||||CT",
        "ORC|NW|P2|F2||||^^^202612011000",
        "OBR|2|P2|F2|CTN^CT Neck^L||||||||||||||A77|RP1|SPS2||||CT",
        "ZDS|1.2.3^APP^Application^DICOM",
    )
    assert one.control is Control.SCHEDULE
    entry = plain(one.attributes)
    assert entry.pop("ScheduledProcedureStepSequence") == {
        "Modality": "CT",
        "ScheduledProcedureStepID": "SPS1",
        "ScheduledProcedureStepDescription": "CT of the head",
        "ScheduledProcedureStepStartDate": "20261201",
        "ScheduledProcedureStepStartTime": "093000",
    }
    assert entry == {
        "PatientName": "Roe^Jane",
        "PatientID": "7",
        "AccessionNumber": "A77",
        "RequestedProcedureID": "RP1",
        "StudyInstanceUID": "1.2.3",
        "RequestedProcedureDescription": "CT Head",
        "PlacerOrderNumberImagingServiceRequest": "P1",
        "FillerOrderNumberImagingServiceRequest": "F1",
        "ReferringPhysicianName": "House^Gregory^^Dr",
    }
    step = plain(two.attributes)["ScheduledProcedureStepSequence"]
    assert (step["ScheduledProcedureStepID"], step["ScheduledProcedureStepStartTime"]) == (
        "SPS2",
        "100000",
    )


def test_imaging_procedure_control_says_it_all():
    (found,) = orders(
        "ORC|NW",
        "TQ1|1||||||20261201093000",
        "OBR|1||||",
        "IPC|A1|RP1|1.2.9|S1|MR|P^Protocol|MR3||MR3AE",
        kind="OMI^O23",
    )
    entry = plain(found.attributes)
    step = entry["ScheduledProcedureStepSequence"]
    assert (entry["AccessionNumber"], entry["StudyInstanceUID"]) == ("A1", "1.2.9")
    assert (step["ScheduledStationAETitle"], step["Modality"]) == ("MR3AE", "MR")
    assert step["ScheduledProcedureStepDescription"] == "Protocol"


def test_a_site_says_otherwise_where_attributes_are():
    segments = ("ORC|CA|P1", "OBR|1|||X^Y||||||||||||||A1||||||CT", "ZAC|||77")
    (found,) = orders(*segments, mapping={"AccessionNumber": "ZAC-3", "Modality": "OBR-4.2"})
    again = orders(*segments, mapping={"AccessionNumber": "ZAC-3"}, control_id="other")
    entry = plain(found.attributes)
    assert found.control is Control.CANCEL
    assert entry["AccessionNumber"] == "77"
    assert entry["ScheduledProcedureStepSequence"]["Modality"] == "Y"
    assert entry["StudyInstanceUID"] == plain(again[0].attributes)["StudyInstanceUID"]
    wrong = Hl7Config(mapping={"AccessionNumbr": "ZAC-3", "Modality": "obr-4"}).problems()
    assert [each.split(":")[0] for each in wrong] == ["mapping", "mapping.Modality"]


@pytest.mark.parametrize(
    ("kind", "code", "control"),
    [
        ("ORM^O01", "SN", Control.SCHEDULE), ("OMG^O19", "NW", Control.SCHEDULE),
        ("OMI^O23", "XO", Control.SCHEDULE), ("OMG^O19", "DC", Control.CANCEL),
        ("OMI^O23", "OC", Control.CANCEL),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["2.3.1", "2.5.1", "2.8"])
def test_orders_are_new_changed_cancelled_and_discontinued(kind, code, control, version):
    segments = (f"ORC|{code}|P1", "OBR|1|P1|F1|X^Y||||||||||||||A1||||||CT")
    (found,) = orders(*segments, kind=kind, version=version)
    assert found.control is control


@pytest.mark.parametrize("segments", [(), ("ORC|NW",), ("ORC|QQ", "OBR|1")])
def test_what_is_no_order_is_refused(segments):
    with pytest.raises(MessageError):
        orders(*segments)


def test_msh_18_is_found_by_the_delimiters_that_the_message_declares():
    """MSH-1 and MSH-2 may be any; repetitions, components and escapes are those."""
    content = (
        "MSH#*!?%#H*1.2%x*ISO#HOSPITAL#PACS#RIS#20261128##ADT*A08*ADT_A01#7*~8#P#2.5.1"
        "######8859/1!UNICODE UTF-8\rPID#1##4711***A##Müller*Jörg ?T? Söhne!Möller\r"
    ).encode("latin-1")
    read = read_message(content)
    assert read.get("PID", 5) == "Müller"
    assert read.get("PID", 5, component=2) == "Jörg % Söhne"
    assert read.get("PID", 5, repetition=2) == "Möller"
    answer = read_message(acknowledge(content, "5", application=""))
    assert answer.kind == "ACK^A08"
    assert answer.get("MSH", 5) == "H"
    assert answer.get("MSH", 5, component=2, part=2) == "x"
    assert [answer.get("MSA", 2, component=n) for n in (1, 2)] == ["7", "~8"]
    # Without a character for repetitions all of MSH-18 is its name.
    with pytest.raises(MessageError, match="8859/1~X"):
        read_message(b"MSH|^|A|B|C|D|||ADT^A08|1|P|2.5.1||||||8859/1~X\rPID|1||1\r")


@pytest.mark.parametrize(
    ("charset", "codec", "name"),
    [
        ("SHIFT_JIS", "shift_jis", "倒円病院"),
        ("ISO IR14", "shift_jis", "倒円病院"),
        ("GB 18030-2000", "gb18030", "億倊医院"),
        ("BIG-5", "big5", "咽吘醫院"),
        ("ISO IR87", "iso2022_jp", "山田病院"),
    ],
)
def test_characters_whose_bytes_are_delimiters_do_not_hide_msh_18(charset, codec, name):
    """In Shift-JIS and others the second byte of a character may be that of a delimiter."""
    content = message("PID|1||4711||王", charset=charset).replace("|HIS|", f"|{name}|")
    raw = content.encode(codec)
    if codec != "iso2022_jp":
        assert raw.count(b"|") > content.count("|")
    read = read_message(raw)
    assert read.sender == f"{name}|HOSPITAL"
    assert read.get("PID", 5) == "王"
    answer = read_message(acknowledge(raw, "5", application=""))
    assert answer.get("MSH", 5) == name
    assert answer.get("MSA", 2) == "1"


def test_a_site_says_in_which_character_set_messages_are_that_name_none():
    """`character_set`: also what is before MSH-18, and its answer, are in that."""
    raw = message("PID|1||4711||山田").replace("|HIS|", "|倒円病院|").encode("shift_jis")
    assert raw.split(b"\r")[0].count(b"|") > message("").split("\r")[0].count("|")
    read = read_message(raw, "shift_jis")
    assert (read.sender, read.control_id) == ("倒円病院|HOSPITAL", "1")
    answer = read_message(acknowledge(raw, "5", application="", default="shift_jis"))
    assert (answer.get("MSH", 5), answer.get("MSA", 2)) == ("倒円病院", "1")


@pytest.mark.parametrize("content", [b"MSH\x1b(B", b"MSH\x1b$B", b"MSH\xe3", b"MSH\x1b(J\x1b(B|"])
def test_a_header_of_nothing_but_escapes_is_refused_and_answered(content):
    with pytest.raises(MessageError):
        read_message(content, "iso2022_jp")
    assert read_message(acknowledge(content, "1", application="A")).get("MSA", 1) == "AA"


def test_utf_16_is_refused_since_mllp_cannot_carry_it():
    with pytest.raises(MessageError, match="'UNICODE UTF-16' in MSH-18 is not supported"):
        read_message(message("PID|1||1", charset="UNICODE UTF-16").encode())


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("", "utf-8"), ("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("8859/5", "iso8859_5"),
        ("ISO IR87", "iso2022_jp"), ("SHIFT_JIS", "shift_jis"), ("GB 18030-2000", "gb18030"),
    ],
)  # fmt: skip
def test_text_is_in_the_character_set_that_the_message_names(charset, codec):
    name = {"iso8859_5": "Иванов", "iso2022_jp": "山田", "shift_jis": "山田", "gb18030": "王"}.get(
        codec, "Müller"
    )
    content = message(f"PID|1||1||{name}", charset=charset).encode(codec)
    assert read_message(content).get("PID", 5) == name


def test_text_in_none_is_refused():
    for charset, raw in (("KLINGON", b"x"), ("ASCII", b"\xfc"), ("", b"\xfc")):
        content = message("PID|1||1||", charset=charset).encode() + raw
        with pytest.raises(MessageError) as refused:
            read_message(content)
        assert refused.value.fault is Fault.DATA_TYPE
    assert read_message(message("PID|1||1||").encode() + b"\xfc", "latin-1")


def test_several_messages_in_a_frame_are_several():
    both = message("PID|1||1", control_id="1") + message("PID|1||2", control_id="2")
    for content in (both, both.replace("\r", "\n"), both.replace("\r", "\r\n")):
        found = [read_message(each) for each in split_messages(content.encode())]
        assert [each.control_id for each in found] == ["1", "2"]
        assert [each.get("PID", 3) for each in found] == ["1", "2"]
    assert list(split_messages(b"rubbish")) == [b"rubbish"]


def test_an_acknowledgment_goes_back_to_whom_the_message_is_from():
    content = message("PID|1||1", control_id="77", version="2.3.1").encode()
    answer = read_message(acknowledge(content, "5", application="ARCHIVE"))
    assert (answer.sender, answer.get("MSH", 5), answer.get("MSH", 6)) == (
        "PACS|RIS",
        "HIS",
        "HOSPITAL",
    )
    assert (answer.code, answer.trigger, answer.control_id) == ("ACK", "A08", "5")
    assert (answer.get("MSA", 1), answer.get("MSA", 2), answer.version) == ("AA", "77", "2.3.1")
    error = MessageError("a|b^c\\d", Fault.UNKNOWN_KEY)
    refusal = read_message(acknowledge(content, "6", application="", error=error))
    assert (refusal.get("MSA", 1), refusal.get("MSA", 3)) == ("AE", "a|b^c\\d")
    assert refusal.get("ERR", 1, component=4) == "204"
    newer = message(control_id="8", version="2.8").encode()
    rejection = MessageError("no", Fault.UNSUPPORTED_MESSAGE_TYPE, is_rejected=True)
    refusal = read_message(acknowledge(newer, "7", application="", error=rejection))
    assert (refusal.get("MSA", 1), refusal.get("ERR", 3), refusal.get("ERR", 8)) == (
        "AR",
        "200",
        "no",
    )


def test_what_is_weak_is_named():
    def findings(**settings):
        return [each.severity for each in find_weaknesses(Hl7Config(**settings))]

    tls = ServerTls(certificate=Path("node.pem"), ca=Path("ca.pem"))
    peer = Hl7Peer("10.0.0.9")
    assert findings() == findings(port=2575) == []
    assert findings(port=2575, host="10.0.0.1") == [Severity.HIGH, Severity.HIGH]
    assert findings(port=2575, host="10.0.0.1", allow=("10.0.0.7",)) == [Severity.HIGH]
    assert findings(port=2575, host="10.0.0.1", tls=tls) == []
    assert findings(peers={"ris": peer}) == [Severity.MEDIUM]


@given(st.one_of(st.binary(max_size=200), st.text("MSH|^~\\&\r\nPID ADT\0ä", max_size=200)))
def test_whatever_comes_is_read_or_refused_and_answered(content):
    content = content if isinstance(content, bytes) else content.encode()
    for each in split_messages(b"MSH|^~\\&" + content):
        refusal = None
        try:
            list(read_updates(read_message(each), {}))
        except MessageError as error:
            refusal = error
        answer = read_message(acknowledge(each, "1", application="A", error=refusal))
        assert (answer.get("MSA", 1) == "AA") == (refusal is None)
