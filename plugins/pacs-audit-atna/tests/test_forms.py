"""Forms of messages: the schema of PS3.15 A.5.1, and AuditEvent of FHIR R4."""

import base64
import json
import re
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from hypothesis import given, strategies as st
from lxml import etree
from pacs_audit_atna.events import EVENTS, OWN_SCHEME, classify, translate
from pacs_audit_atna.fhir_form import to_fhir
from pacs_audit_atna.syslog import frame, syslog_message
from pacs_audit_atna.xml_form import MOST, to_xml

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    EventAction,
    Origin,
    Outcome,
    Participant,
    ParticipantRole,
    PluginAuditKind,
    Principal,
)

SCHEMA = etree.RelaxNG(file=str(files("pacs_audit_atna") / "audit-message.rng"))
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
ORIGIN = Origin("DIMSE", "CT1", "PACS", "192.0.2.7", 50123, Principal("ward"), "a1")
OBJECTS = (
    AuditObject(
        AuditObjectKind.STUDY,
        "1.2.3",
        sop_classes={"1.2.840.10008.5.1.4.1.1.2": 7},
        accession_numbers=("A1", "A2"),
    ),
    AuditObject(AuditObjectKind.PATIENT, "4711", "Doe^Jane"),
)


def parse(text: bytes) -> etree._Element:
    root = etree.fromstring(text, PARSER)
    SCHEMA.assertValid(root)
    return root


def event(kind: AuditKind | PluginAuditKind, **fields: object) -> AuditEvent:
    return AuditEvent(kind, Outcome.SUCCESS, ORIGIN, time=NOON, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("objects", [(), OBJECTS])
@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("kind", list(AuditKind))
def test_every_kind_is_valid(
    kind: AuditKind, outcome: Outcome, objects: tuple[AuditObject, ...]
) -> None:
    details = {"study_instance_uid": "1.2.3", "reason": "it was so", "number": 3}
    found = translate(AuditEvent(kind, outcome, ORIGIN, details, NOON, objects=objects), "PACS")
    root = parse(to_xml(found, "", "Hospital"))
    assert root.find("EventIdentification").get("EventDateTime") == "2024-02-29T12:00:00.000000Z"
    code = root.find("EventIdentification/EventID")
    expected = EVENTS.get(kind)
    if expected is None:
        assert (code.get("csd-code"), code.get("codeSystemName")) == (kind.value, OWN_SCHEME)
    else:
        assert (code.get("csd-code"), code.get("codeSystemName")) == (
            expected.event_id.value,
            "DCM",
        )
    check_fhir(json.loads(to_fhir(found, "", "Hospital")))


def test_an_instance_that_was_stored() -> None:
    """PS3.15 Table A.5.3.7-1, Audit Message for DICOM Instances Transferred."""
    details = {
        "study_instance_uid": "1.2.3",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "patient_id": "4711",
    }
    root = parse(to_xml(translate(event(AuditKind.C_STORE, details=details), "PACS"), "N1", ""))
    identification = root.find("EventIdentification")
    assert identification.get("EventActionCode") == "C"
    assert identification.find("EventID").get("csd-code") == "110104"
    source, destination = root.findall("ActiveParticipant")
    assert source.get("UserID") == "ward"
    assert source.get("AlternativeUserID") == "AETITLES=CT1"
    assert source.get("UserIsRequestor") == "true"
    assert (source.get("NetworkAccessPointID"), source.get("NetworkAccessPointTypeCode")) == (
        "192.0.2.7",
        "2",
    )
    assert source.find("RoleIDCode").get("csd-code") == "110153"
    assert destination.get("UserID") == "PACS"
    assert destination.find("RoleIDCode").get("csd-code") == "110152"
    assert root.find("AuditSourceIdentification").get("AuditSourceID") == "N1"
    study, patient = root.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "1.2.3"
    assert study.find("ParticipantObjectIDTypeCode").get("csd-code") == "110180"
    assert study.find("ParticipantObjectDescription/SOPClass").get("NumberOfInstances") == "1"
    assert (patient.get("ParticipantObjectTypeCode"), patient.get("ParticipantObjectID")) == (
        "1",
        "4711",
    )


def test_who_gets_what_was_asked_for_is_its_destination() -> None:
    kind = PluginAuditKind("web.retrieved", AuditCode("110104", "DCM", "Transferred"))
    root = parse(
        to_xml(translate(event(kind, action=EventAction.READ, objects=OBJECTS), "PACS"), "", "")
    )
    roles = {
        each.get("UserIsRequestor"): each.find("RoleIDCode").get("csd-code")
        for each in root.findall("ActiveParticipant")
    }
    assert roles == {"true": "110152", "false": "110153"}


def test_participants_that_are_named_stay_as_they_are() -> None:
    participants = (
        Participant("PACS", ParticipantRole.SOURCE, alternative_id="4711"),
        Participant("WS1", ParticipantRole.DESTINATION, host="ws1.example.org"),
        Participant("ward", None, True),
    )
    found = translate(
        event(AuditKind.INSTANCES_SENT, participants=participants, objects=OBJECTS), "PACS"
    )
    root = parse(to_xml(found, "", ""))
    assert [each.get("UserID") for each in root.findall("ActiveParticipant")] == [
        "PACS",
        "WS1",
        "ward",
    ]
    assert root.findall("ActiveParticipant")[1].get("NetworkAccessPointTypeCode") == "1"
    assert root.findall("ActiveParticipant")[0].get("AlternativeUserID") == "4711"
    assert json.loads(to_fhir(found, "", ""))["agent"][0]["altId"] == "4711"


def test_a_query_and_a_deletion() -> None:
    """PS3.15 Tables A.5.3.10-1 and A.5.3.8-1."""
    query = AuditObject(AuditObjectKind.QUERY, "1.2.840.10008.5.1.4.1.2.2.1")
    found = translate(
        event(AuditKind.C_FIND, details={"PatientID": "4711"}, objects=(query,)), "PACS"
    )
    root = parse(to_xml(found, "", ""))
    item = root.find("ParticipantObjectIdentification")
    assert (item.get("ParticipantObjectTypeCode"), item.get("ParticipantObjectTypeCodeRole")) == (
        "2",
        "24",
    )
    asked = json.loads(base64.b64decode(item.find("ParticipantObjectQuery").text))
    assert asked == {"PatientID": "4711", "kind": "c-find"}
    found = translate(event(AuditKind.DELETE, objects=OBJECTS), "PACS")
    root = parse(to_xml(found, "", ""))
    assert root.find("EventIdentification").get("EventActionCode") == "D"
    study = root.find("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectDataLifeCycle") == "15"
    assert [each.get("Number") for each in study.iter("Accession")] == ["A1", "A2"]


def test_documents_their_submission_and_a_stored_query() -> None:
    """IHE ITI TF-2 3.41.5.1, 3.43.5.1 and 3.18.5.1: codes of the objects, and the query as sent."""
    stored_query = AuditCode("ITI-18", "IHE Transactions", "Registry Stored Query")
    kind = PluginAuditKind("xds.queried", AuditCode("110112", "DCM", "Query"), stored_query)
    request = "<q:AdhocQueryRequest xmlns:q='urn:q'/>"
    objects = (
        AuditObject(AuditObjectKind.DOCUMENT, "1.2.3", details={"Repository Unique Id": "1.9"}),
        AuditObject(AuditObjectKind.SUBMISSION_SET, "1.2.4"),
        AuditObject(
            AuditObjectKind.QUERY,
            "urn:uuid:1",
            details={"QueryEncoding": "UTF-8"},
            query=request,
            id_type=stored_query,
        ),
    )
    found = translate(event(kind, action=EventAction.EXECUTE, objects=objects), "PACS")
    root = parse(to_xml(found, "", ""))
    seen = [
        (
            each.get("ParticipantObjectTypeCodeRole"),
            each.find("ParticipantObjectIDTypeCode").get("csd-code"),
            {
                d.get("type"): base64.b64decode(d.get("value"))
                for d in each.iter("{*}ParticipantObjectDetail")
            },
        )
        for each in root.findall("ParticipantObjectIdentification")
    ]
    assert seen == [
        ("3", "9", {"Repository Unique Id": b"1.9", "kind": b"xds.queried"}),
        ("20", "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", {}),
        ("24", "ITI-18", {"QueryEncoding": b"UTF-8"}),
    ]
    assert base64.b64decode(root.findtext(".//ParticipantObjectQuery")).decode() == request
    resource = json.loads(to_fhir(found, "", ""))
    check_fhir(resource)
    query = resource["entity"][2]
    assert base64.b64decode(query["query"]).decode() == request
    assert query["what"]["identifier"]["type"]["coding"][0]["code"] == "ITI-18"


def test_the_start_of_the_node_and_kinds_of_plugins() -> None:
    """PS3.15 Table A.5.3.1-1."""
    origin = Origin("node", called_ae_title="PACS", host="127.0.0.1")
    root = parse(
        to_xml(
            translate(AuditEvent(AuditKind.NODE_STARTED, Outcome.SUCCESS, origin), "PACS"), "", ""
        )
    )
    [participant] = root.findall("ActiveParticipant")
    assert participant.find("RoleIDCode").get("csd-code") == "110150"
    assert root.find("EventIdentification/EventTypeCode").get("csd-code") == "110120"
    assert classify(PluginAuditKind("acme.done")).event_id.scheme == OWN_SCHEME
    named = classify(PluginAuditKind("acme.seen", AuditCode("110103", "DCM", "Accessed")))
    assert (named.event_id.value, named.event_type and named.event_type.value) == (
        "110103",
        "acme.seen",
    )


ANY_TEXT = st.text(st.characters(), max_size=200)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, st.sampled_from(list(AuditObjectKind)))
def test_no_text_breaks_a_message(
    user: str, host: str, name: str, value: str, kind: AuditObjectKind
) -> None:
    origin = Origin("DIMSE", user, name, host, 1, Principal(user) if user else None)
    item = AuditObject(kind, value, name, {value: 1}, (value,), {name: value, "many": (value,)})
    found = translate(
        AuditEvent(AuditKind.C_STORE, Outcome.FAILURE, origin, {"reason": value}, objects=(item,)),
        "PACS",
    )
    text = to_xml(found, value, name)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", text.decode())
    root = parse(text)
    assert len(root.findall("ParticipantObjectIdentification")) == 1
    check_fhir(json.loads(to_fhir(found, value, name)))


def test_a_message_fits_into_a_datagram() -> None:
    details = {f"d{number}": "x" * 100_000 for number in range(50)}
    text = to_xml(translate(event(AuditKind.C_STORE, details=details), "PACS"), "", "")
    assert len(text) <= MOST
    parse(text)


def test_the_header_of_syslog() -> None:
    """RFC 5424 §6, RFC 5425 §4.3."""
    message = syslog_message(
        b"<AuditMessage/>",
        outcome=Outcome.FAILURE,
        time=NOON,
        host="node\n1",
        process=7,
        message_id="DICOM+RFC3881",
    )
    assert message == (
        b"<83>1 2024-02-29T12:00:00.000000Z node?1 pacs-core 7 DICOM+RFC3881 - "
        b"\xef\xbb\xbf<AuditMessage/>"
    )
    assert frame(b"abc") == b"3 abc"


def check_fhir(resource: dict[str, object]) -> None:
    """Check what FHIR R4 requires of AuditEvent: cardinalities, and constraint sev-1."""
    assert resource["resourceType"] == "AuditEvent"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", str(resource["recorded"]))
    assert resource["action"] in set("CRUDE")
    assert resource["outcome"] in {"0", "4", "8", "12"}
    assert resource["agent"]
    for agent in resource["agent"]:  # type: ignore[attr-defined]
        assert isinstance(agent["requestor"], bool)
        assert agent["who"]["identifier"]["value"]
    assert "observer" in resource["source"]  # type: ignore[operator]
    for entity in resource["entity"]:  # type: ignore[attr-defined]
        assert not {"name", "query"} <= set(entity), "sev-1"
        assert all(set(each) == {"type", "valueString"} for each in entity.get("detail", ()))
        if "query" in entity:
            base64.b64decode(entity["query"], validate=True)


def test_an_event_of_fhir() -> None:
    found = translate(event(AuditKind.C_STORE, objects=OBJECTS), "PACS")
    resource = json.loads(to_fhir(found, "", "Hospital"))
    assert resource["type"] == {
        "system": "http://dicom.nema.org/resources/ontology/DCM",
        "code": "110104",
        "display": "DICOM Instances Transferred",
    }
    assert resource["agent"][0]["type"]["coding"][0]["code"] == "110153"
    study, patient = resource["entity"]
    assert study["what"]["identifier"]["value"] == "urn:oid:1.2.3"
    assert patient["what"] == {"identifier": {"value": "4711"}, "type": "Patient"}
    assert (patient["type"]["code"], patient["role"]["code"]) == ("1", "1")
