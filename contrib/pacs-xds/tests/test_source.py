"""Imaging Document Source, over the wire: RAD-68 to a repository, and RAD-69, RAD-55 answered."""

import re
from email import message_from_bytes, policy
from io import BytesIO

import httpx
import pytest
import schemas
from lxml import etree
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until
from pydicom import dcmread

ENV, WSA = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2005/08/addressing"
ACTION = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
REQUEST = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="{env}" xmlns:a="{wsa}"><s:Header>
<a:Action s:mustUnderstand="1">{action} </a:Action><a:MessageID>urn:uuid:1</a:MessageID>
{header}</s:Header><s:Body>
<x:RetrieveImagingDocumentSetRequest xmlns:x="urn:ihe:rad:xdsi-b:2009"
 xmlns:b="urn:ihe:iti:xds-b:2007">{studies}
<x:TransferSyntaxUIDList>{syntaxes}</x:TransferSyntaxUIDList>
</x:RetrieveImagingDocumentSetRequest></s:Body></s:Envelope>"""
SOAP = "application/soap+xml; charset=UTF-8"
UID = re.compile(r"[0-9.]+")


def request(*documents, syntaxes=(EXPLICIT,), action=ACTION, header=""):
    """Return a request for (study, series, repository, instance)."""
    studies = "".join(
        f'<x:StudyRequest studyInstanceUID="{study}"><x:SeriesRequest seriesInstanceUID="{series}">'
        f"<b:DocumentRequest><b:RepositoryUniqueId>{repository}</b:RepositoryUniqueId>"
        f"<b:DocumentUniqueId>{uid}</b:DocumentUniqueId></b:DocumentRequest></x:SeriesRequest>"
        "</x:StudyRequest>"
        for study, series, repository, uid in documents
    )
    listed = "".join(f"<x:TransferSyntaxUID>{e}</x:TransferSyntaxUID>" for e in syntaxes)
    made = REQUEST.format(
        env=ENV, wsa=WSA, action=action, header=header, studies=studies, syntaxes=listed
    )
    named = [uid for each in documents for uid in each]
    if named and syntaxes and all(map(UID.fullmatch, named)):  # what is none is sent on purpose
        schemas.check_schema(etree.fromstring(made.encode()).find(f"{{{ENV}}}Body")[0])
    return made


def post(site, text, kind=SOAP, path="/xds/"):
    url = f"http://127.0.0.1:{site.web}{path}"
    content = text.encode() if isinstance(text, str) else text
    return httpx.post(url, content=content, headers={"Content-Type": kind}, timeout=60)


def read(answer):
    """Return status, errors, and datasets by UID; split by the email package."""
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=policy.HTTP)
    assert message.get_param("type") == "application/xop+xml"
    parts = {part["Content-ID"]: part for part in message.iter_parts()}
    root = etree.fromstring(parts.pop(message.get_param("start")).get_payload(decode=True))
    assert root.findtext(f".//{{{WSA}}}RelatesTo") == "urn:uuid:1"
    schemas.check_schema(root.find(f"{{{ENV}}}Body")[0])
    response = root.find(".//{*}RegistryResponse")
    errors = [(e.get("errorCode"), e.get("location")) for e in root.iter("{*}RegistryError")]
    found = {}
    for document in root.iter("{*}DocumentResponse"):
        href = document.find(".//{*}Include").get("href")
        content = parts.pop(f"<{href.removeprefix('cid:')}>").get_payload(decode=True)
        found[document.findtext("{*}DocumentUniqueId")] = dcmread(BytesIO(content))
    assert not parts
    return response.get("status").rpartition(":")[2], errors, found


def test_a_complete_study_is_registered_and_replaced_when_it_changes(site, study):
    """RAD TF-3 4.68: the manifest is that of the study as it is; the one before is deprecated."""
    first = study.make("CT", PatientName="Doe^Jane", PatientID="X-4711")
    second = study.make("SR", PatientName="Doe^Jane", PatientID="X-4711")
    uid = site.store(first)
    (one,) = site.wait(uid, "registered")
    assert (one.instances, one.patient_id) == (1, "X-4711^^^&1.3.6.1.4.1.21367.13.20.1000&ISO")
    assert site.registry.state["entries"][one.entry_uuid] == "Approved"
    site.store(second)
    two, old = site.wait(uid, "registered", "replaced")
    assert (two.instances, two.replaces) == (2, old.entry_uuid)
    state = site.registry.state
    assert state["entries"][one.entry_uuid] == "Deprecated"
    assert state["entries"][two.entry_uuid] == "Approved"
    assert state["problems"] == []
    until(lambda: sum(uid in str(each) for each in site.audited("xds.provided")) == 2, 30)
    # The manifest is in the study as well; it is no reason to register it anew.
    answer = httpx.get(
        f"http://127.0.0.1:{site.web}/dicom-web/instances",
        params={"SOPInstanceUID": two.document_uid},
    )
    assert answer.json()[0]["00080060"]["Value"] == ["KO"]
    site.register(uid)
    site.register(uid)
    until(lambda: not site.waiting(), 30)
    assert len(site.registrations(uid)) == 2


@pytest.mark.parametrize("act", ["forget", "deprecate"])
def test_what_cannot_be_replaced_any_more_is_registered_anew(site, study, act):
    """ITI TF-3 4.2.4.1: the entry is unresolved, or deprecated; it is said, and not for ever."""
    first, second, third = study.make("CT"), study.make("MR"), study.make("SR")
    uid = site.store(first)
    (one,) = site.wait(uid, "registered")
    httpx.post(f"{site.registry.url}/{act}/{one.entry_uuid}")
    site.store(second)
    two, refused, _ = site.wait(uid, "registered", "failed", "replaced")
    assert (refused.replaces, two.replaces, two.instances) == (one.entry_uuid, "", 2)
    assert one.entry_uuid in refused.reason
    assert site.registry.state["entries"][two.entry_uuid] == "Approved"
    until(lambda: sum(uid in str(each) for each in site.audited("xds.provided")) == 3, 30)
    site.store(third)  # which replaces what there is now
    three = site.wait(uid, "registered", "replaced", "failed", "replaced")[0]
    assert three.replaces == two.entry_uuid
    assert site.registry.state["problems"] == []


def test_a_correction_of_the_patient_replaces_the_manifest(site, study):
    uid = site.store(study.make("CT", PatientName="Deo^Jane", PatientID="C-1"))
    site.wait(uid, "registered")
    corrected = ("correct", "update", "--study", uid, "--set", "StudyDescription=Thorax", "--yes")
    assert site.run(*corrected) == 0
    site.wait(uid, "registered", "replaced")
    document = site.registrations(uid)[0].document_uid
    assert document in site.registry.state["documents"]
    assert site.registry.state["problems"] == []


@pytest.mark.parametrize("mode", ["normal", "merged"])
def test_a_merge_moves_what_is_registered(site, study, mode):
    """ITI TF-3 4.2.4.1, XDSPatientIdDoesNotMatch: a registry that has not merged the patients."""
    uid = site.store(study.make("CT", PatientID=f"OLD-{mode}"))
    (one,) = site.wait(uid, "registered")
    site.registry.mode(mode)
    try:
        move = ("--patient", f"OLD-{mode}", "--set", f"PatientID=NEW-{mode}", "--yes")
        assert site.run("correct", "update", *move) == 0
        if mode == "merged":  # it replaces across the two, which it holds for one
            two, _ = site.wait(uid, "registered", "replaced")
            assert two.replaces == one.entry_uuid
        else:
            two, refused, _ = site.wait(uid, "registered", "failed", "withdrawn")
            assert "XDSPatientIdDoesNotMatch" in refused.reason
            assert two.replaces == ""
    finally:
        site.registry.mode("normal")
    assert two.patient_id.startswith(f"NEW-{mode}^")
    state = site.registry.state
    entries = state["entries"]
    assert (entries[one.entry_uuid], entries[two.entry_uuid]) == ("Deprecated", "Approved")
    assert state["problems"] == []


def test_a_study_that_is_deleted_is_withdrawn(site, study, capsys):
    """ITI TF-2 3.57: at once, or once the registry takes it; and it may come back."""
    image = study.make("CT")
    uid = site.store(image)
    (one,) = site.wait(uid, "registered")
    site.registry.mode("refuse")
    try:
        assert site.run("delete", "--study", uid, "--yes") == 0
        (stale,) = site.wait(uid, "stale")
        until(lambda: not site.waiting(), 60)
        assert "has no instances to share" in stale.reason
        assert site.registry.state["entries"][one.entry_uuid] == "Approved"
        assert site.run("jobs", "list", "--state", "failed") == 0
        assert "XDSMetadataUpdateError" in capsys.readouterr().out
        site.registry.mode("busy")
        site.register(uid)
        site.wait_audited("xds.deprecated", "come again")
    finally:
        site.registry.mode("normal")
    site.wait(uid, "withdrawn")
    assert site.registry.state["entries"][one.entry_uuid] == "Deprecated"
    assert site.registry.state["problems"] == []
    site.store(image)
    two, _ = site.wait(uid, "registered", "withdrawn")
    assert two.replaces == ""


def test_audit_says_who_and_what_of_each_transaction(site, shared, tools, study):
    """ITI TF-2 3.41.5.1, 3.18.5.1, RAD TF-3 4.69: participants, their roles, and objects."""
    uid = site.store(study.make("CT", PatientID="AUDIT"))
    (one,) = site.wait(uid, "registered")
    event = site.wait_audited("xds.provided", uid)
    here, there = event["participants"]
    assert (event["action"], here["role"], here["requestor"]) == ("R", "source", True)
    assert here["user"] == f"{WSA}/anonymous"
    assert (there["role"], there["user"]) == ("destination", f"{site.registry.url}/repository")
    objects = {each["kind"]: each["id"] for each in event["objects"]}
    assert objects == {
        "patient": one.patient_id, "submission-set": one.submission_uid, "study": uid,
    }  # fmt: skip
    assert site.run("xds", "find", "AUDIT") == 0
    event = site.wait_audited("xds.queried", "AUDIT")
    query = event["objects"][1]
    assert query["id_type"]["value"] == "ITI-18"
    asked = etree.fromstring(query["query"])
    assert etree.QName(asked).localname == "AdhocQueryRequest"
    shared_study, series, instance = shared
    reply = f"<a:ReplyTo><a:Address>{WSA}/none</a:Address></a:ReplyTo>"
    wanted = request((shared_study, series, tools.LOCATION, instance), header=reply)
    assert read(post(site, wanted))[0] == "Success"
    event = site.wait_audited("xds.images-sent", "/none")
    here, there = event["participants"]
    assert (here["role"], here["user"]) == ("source", f"http://127.0.0.1:{site.web}/xds/")
    assert (there["role"], there["requestor"], there["host"]) == ("destination", True, "127.0.0.1")
    document = event["objects"][0]
    assert (document["kind"], document["id"]) == ("document", instance)
    assert document["details"]["Repository Unique Id"] == tools.LOCATION


def test_what_the_manifest_names_is_had_by_rad_69_and_by_wado(site, study):
    one, two = study.make("CT"), study.make("MR")
    uid = site.store(one, two)
    site.wait(uid, "registered")
    document = site.registrations(uid)[0].document_uid
    url = f"http://127.0.0.1:{site.web}"
    found = httpx.get(f"{url}/dicom-web/instances", params={"SOPInstanceUID": document}).json()[0]
    path = "/".join(found[tag]["Value"][0] for tag in ("0020000E",))
    answer = httpx.get(
        f"{url}/dicom-web/wado",
        params={
            "requestType": "WADO", "studyUID": uid, "seriesUID": path, "objectUID": document,
            "contentType": "application/dicom",
        },
    )  # fmt: skip
    manifest = dcmread(BytesIO(answer.content))
    (evidence,) = manifest.CurrentRequestedProcedureEvidenceSequence
    wanted = [
        (evidence.StudyInstanceUID, series.SeriesInstanceUID, series.RetrieveLocationUID,
         sop.ReferencedSOPInstanceUID)
        for series in evidence.ReferencedSeriesSequence
        for sop in series.ReferencedSOPSequence
    ]  # fmt: skip
    status, errors, datasets = read(post(site, request(*wanted)))
    assert (status, errors) == ("Success", [])
    assert datasets.keys() == {one.sop_instance_uid, two.sop_instance_uid}
    for series in evidence.ReferencedSeriesSequence:
        assert series.RetrieveAETitle == "PACS"
        answer = httpx.get(series.RetrieveURL)  # RAD-107, WADO-RS
        assert answer.status_code == 200
        assert answer.content.count(b"DICM") == 1
    for study_uid, series_uid, _, instance in wanted:  # RAD-55
        answer = httpx.get(
            f"{url}/dicom-web/wado",
            params={
                "requestType": "WADO", "studyUID": study_uid, "seriesUID": series_uid,
                "objectUID": instance, "contentType": "application/dicom",
            },
        )  # fmt: skip
        assert dcmread(BytesIO(answer.content)).SOPInstanceUID == instance


@pytest.mark.parametrize(
    ("syntaxes", "expected"),
    [
        ((IMPLICIT,), IMPLICIT),
        ((DEFLATED,), DEFLATED),
        (("1.2.840.10008.1.2.4.999", EXPLICIT), EXPLICIT),
        ((IMPLICIT, EXPLICIT), EXPLICIT),
    ],
)
def test_transfer_syntaxes_of_the_request_are_honoured(site, shared, tools, syntaxes, expected):
    study, series, uid = shared
    status, _, found = read(
        post(site, request((study, series, tools.LOCATION, uid), syntaxes=syntaxes))
    )
    assert status == "Success"
    assert found[uid].file_meta.TransferSyntaxUID == expected


def test_what_cannot_be_had_is_said_and_the_rest_is_sent(site, shared, tools):
    study, series, uid = shared
    here = tools.LOCATION
    wanted = [
        (study, series, here, uid),
        (study, series, here, "1.2.3"),
        (study, "1.2.9", here, uid),
        (study, series, "1.2.8", "1.2.7"),
        ("../../etc", series, here, "' OR 1=1 --"),
    ]
    status, errors, found = read(post(site, request(*wanted)))
    assert status == "PartialSuccess"
    assert found.keys() == {uid}
    unknown = "XDSDocumentUniqueIdError"
    assert errors == [
        (unknown, "1.2.3"), (unknown, uid), ("XDSUnknownRepositoryId", "1.2.7"),
        (unknown, "' OR 1=1 --"),
    ]  # fmt: skip
    status, errors, found = read(post(site, request(*wanted[1:])))
    assert (status, len(errors), found) == ("Failure", 4, {})
    status, errors, found = read(
        post(site, request(wanted[0], syntaxes=["1.2.840.10008.1.2.4.999"]))
    )
    assert (status, errors, found) == ("Failure", [("urn:dicom:wado:0007", uid)], {})
    anonymous = request(wanted[0]).replace(
        "</b:DocumentUniqueId>",
        '</b:DocumentUniqueId><Anonymize xmlns="urn:dicom:wado:ws:2011">yes</Anonymize>',
    )
    assert read(post(site, anonymous)) == ("Failure", [("urn:dicom:wado:0002", uid)], {})


def test_packages_are_taken_and_assertions_are_only_claims(site, shared, tools):
    study, series, uid = shared
    security = (
        '<w:Security s:mustUnderstand="1" xmlns:w="http://docs.oasis-open.org/wss/2004/01/'
        'oasis-200401-wss-wssecurity-secext-1.0.xsd"><Assertion '
        'xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><NameID>dr.who</NameID></Assertion>'
        "</w:Security>"
    )
    text = request((study, series, tools.LOCATION, uid), header=security)
    part = (
        "preamble\r\n--b\r\nContent-Type: application/xop+xml; charset=UTF-8; "
        f'type="application/soap+xml"\r\nContent-ID: <0.r@apache.org>\r\n\r\n{text}\r\n--b--\r\n'
    )
    kind = (
        'multipart/related; boundary="b"; type="application/xop+xml"; start="<0.r@apache.org>"; '
        'start-info="application/soap+xml"; action="urn:x"'
    )
    assert read(post(site, part, kind))[0] == "Success"
    site.wait_audited("xds.images-sent", "dr.who")


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
GOOD = request(("1.2", "1.3", "1.4", "1.5"))


@pytest.mark.parametrize(
    ("text", "kind", "status", "code", "reason"),
    [
        (f'<!DOCTYPE a [<!ENTITY a0 "ha">{BOMB}]><a>&a11;</a>', SOAP, 400, "Sender", "."),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', SOAP, 400, "Sender",
         "declaration"),
        ("nonsense", SOAP, 400, "Sender", "well-formed"),
        ("x" * 5_000_000, SOAP, 413, "Sender", "bytes"),
        (GOOD, "text/xml", 415, "Sender", "Content-Type"),
        (GOOD.replace("2003/05/soap-envelope", "2001/soap"), SOAP, 500, "VersionMismatch", "no"),
        (request(), SOAP, 400, "Sender", "names no documents"),
        (request(("1.2", "1.3", "1.4", "1.5"), syntaxes=()), SOAP, 400, "Sender", "transfer"),
        (request(("1.2", "1.3", "1.4", "")), SOAP, 400, "Sender", "lacks"),
        (request(("1.2", "", "1.4", "1.5")), SOAP, 400, "Sender", "no UID"),
        (request(("1.2", "1.3", "1.4", "1.5"), action="urn:other"), SOAP, 400, "Sender", "action"),
        (request(("1.2", "1.3", "1.4", "1.5"), header='<y s:mustUnderstand="1"/>'), SOAP, 500,
         "MustUnderstand", "not known"),
        ("--b\r\n\r\n", "multipart/related; boundary=b", 415, "Sender", "root"),
        (b"--b\r\nContent-Type: application/xop+xml\r\n\r\n" + GOOD.encode(),
         "multipart/related; boundary=b", 400, "Sender", "ends before"),
    ],
)  # fmt: skip
def test_what_is_wrong_gets_the_fault_that_is_due_and_the_node_goes_on(
    site, shared, tools, text, kind, status, code, reason
):
    answer = post(site, text, kind)
    assert answer.status_code == status, answer.text
    root = etree.fromstring(answer.content)
    assert root.findtext(f".//{{{ENV}}}Value") == f"env:{code}"
    assert reason == "." or reason in root.findtext(f".//{{{ENV}}}Text")
    assert "root:" not in answer.text
    study, series, uid = shared
    assert read(post(site, request((study, series, tools.LOCATION, uid))))[0] == "Success"


def test_a_repository_that_refuses_or_is_busy(site, study, capsys):
    """A refusal waits for somebody; what passes is tried again."""
    site.registry.mode("refuse")
    try:
        uid = site.store(study.make("CT"))
        (refused,) = site.wait(uid, "failed")
        assert "XDSUnknownPatientId" in refused.reason
        assert site.run("xds", "list", "--state", "failed") == 0
        assert "XDSUnknownPatientId" in capsys.readouterr().out
        site.registry.mode("busy")
        answer = httpx.post(
            f"http://127.0.0.1:{site.web}/api/xds/registrations", json={"study": uid}
        )
        assert answer.status_code == 202
        site.wait(uid, "pending", "failed")
        until(lambda: site.registrations(uid)[0].attempts > 1, 60)
    finally:
        site.registry.mode("normal")
    site.wait(uid, "registered", "failed")
    listed = httpx.get(
        f"http://127.0.0.1:{site.web}/api/xds/registrations", params={"study": uid}
    ).json()
    assert [each["state"] for each in listed["registrations"]] == ["registered", "failed"]
    for problem in ({"study": "../x"}, [], {}):
        answer = httpx.post(f"http://127.0.0.1:{site.web}/api/xds/registrations", json=problem)
        assert answer.status_code == 400


def test_a_study_without_an_identifier_is_not_registered(site, study, capsys):
    uid = site.store(study.make("CT", IssuerOfPatientID="ELSEWHERE"))
    site.register(uid)
    until(lambda: not site.waiting(), 60)
    assert site.registrations(uid) == []
    assert site.run("jobs", "list", "--state", "failed") == 0
    assert "no OID for the issuer 'ELSEWHERE'" in capsys.readouterr().out


def test_killed_amid_registration_it_is_registered_once(tmp_path, registry, study, tools):
    """The repository has taken it, and the node dies before it is told so."""
    tables = tools.tables(registry, tools.find_free_port(), register="complete")
    tables["plugin"]["jobs"]["lease"] = 3.0
    before = registry.state
    registry.mode("hold")
    with node_process(tmp_path, tables, plugins=tools.PLUGINS) as node:
        tools.store(node.peer, study.make("CT"))
        until(lambda: len(registry.state["documents"]) > len(before["documents"]), 120)
        node.kill()
    registry.mode("normal")
    with node_process(tmp_path, tables, plugins=tools.PLUGINS) as node:
        until(lambda: len(registry.state["log"]) >= len(before["log"]) + 2, 120)
        until(lambda: " registered" in listed(tmp_path), 120)
    assert len(registry.state["documents"]) == len(before["documents"]) + 1
    assert registry.state["problems"] == before["problems"]


def listed(directory):
    import sqlite3

    (path,) = [each for each in directory.rglob("*.sqlite*") if has_table(each)]
    with sqlite3.connect(path) as connection:
        rows = connection.execute("select state from xds_registrations").fetchall()
    connection.close()
    return " " + " ".join(row[0] for row in rows)


def has_table(path):
    import sqlite3

    if path.suffix not in {".sqlite", ".db", ".sqlite3"}:
        return False
    connection = sqlite3.connect(path)
    try:
        query = "select count(*) from sqlite_master where name = 'xds_registrations'"
        return connection.execute(query).fetchone()[0] == 1
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
