"""A registry and repository of documents, and a source that misbehaves, as a process of its own.

It shares no code with the plugin: packages are split by the ``email`` package, and every message,
in and out, is held against the schema of bodies (:mod:`schemas`), and against what ITI TF-3 §4.2
and ITI TF-2 3.18, 3.41, 3.43 and Appendix V ask for besides. What is wrong with one is answered as
an error, and kept in ``/state``.
"""

import hashlib
import json
import re
import sys
import threading
import uuid
from email import message_from_bytes, policy
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import unquote

from lxml import etree
from pydicom import dcmread
from schemas import check_schema

NS = {
    "env": "http://www.w3.org/2003/05/soap-envelope",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "lcm": "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "rim": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "rs": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "query": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
    "xdsb": "urn:ihe:iti:xds-b:2007",
    "xop": "http://www.w3.org/2004/08/xop/include",
}
REPOSITORY = "1.3.6.1.4.1.21367.13.80.1"
CX = re.compile(r"[^^|~&]+\^\^\^&[0-2](\.\d+)+&ISO")
DTM = re.compile(r"\d{4}(\d\d){0,5}")
UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
APPROVED, DEPRECATED = (
    f"urn:oasis:names:tc:ebxml-regrep:StatusType:{each}" for each in ("Approved", "Deprecated")
)
CODED = {  # Table 4.2.5.1-2: exactly one of each, but for event codes
    "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
    "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
    "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
    "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
    "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
    "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
}
FORMAT = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
ORDER = ["Slot", "Name", "Description", "VersionInfo", "Classification", "ExternalIdentifier"]
SUCCESS, FAILURE = (
    f"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:{each}" for each in ("Success", "Failure")
)


class InvalidError(Exception):
    """A message is not as it has to be."""


def need(condition, what):
    if not condition:
        raise InvalidError(what)


def local(element):
    return etree.QName(element).localname


def slots(owner):
    return {
        slot.get("name"): [value.text for value in slot.iterfind("rim:ValueList/rim:Value", NS)]
        for slot in owner.iterfind("rim:Slot", NS)
    }


def identifiers(owner):
    return {
        each.find("rim:Name/rim:LocalizedString", NS).get("value").rpartition(".")[2]: each.get(
            "value"
        )
        for each in owner.iterfind("rim:ExternalIdentifier", NS)
    }


def codes_of(entry):
    for each in entry.iterfind("rim:Classification", NS):
        if each.get("classificationScheme") in CODED:
            name = each.find("rim:Name/rim:LocalizedString", NS).get("value")
            scheme = slots(each)["codingScheme"][0]
            yield each.get("classificationScheme"), each.get("nodeRepresentation"), scheme, name


def split(content_type, body):
    """Return the root and the other parts of a package, by Content-ID."""
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = message_from_bytes(head + body, policy=policy.HTTP)
    need(message.get_content_type() == "multipart/related", f"the type is {content_type}")
    for name, value in (("type", "application/xop+xml"), ("start-info", "application/soap+xml")):
        need(message.get_param(name) == value, f"{name} is {message.get_param(name)}")
    parts = {}
    for part in message.iter_parts():
        need(part["Content-Transfer-Encoding"] == "binary", "a part is not binary")
        parts[part["Content-ID"]] = part.get_payload(decode=True)
    root = parts.pop(message.get_param("start"))
    return root, {key[1:-1]: value for key, value in parts.items()}


def check_envelope(root, action):
    envelope = etree.fromstring(root)
    need(envelope.tag == f"{{{NS['env']}}}Envelope", "no envelope of SOAP 1.2")
    found = {local(each): each for each in envelope.find("env:Header", NS)}
    need(found["Action"].text == action, f"the action is {found['Action'].text}")
    need(found["Action"].get(f"{{{NS['env']}}}mustUnderstand") == "1", "Action: mustUnderstand")
    need(found["MessageID"].text.startswith("urn:uuid:"), "MessageID")
    need(found["To"].text.startswith("http"), "To")
    need(found["ReplyTo"][0].text.endswith("/anonymous"), "ReplyTo")
    body = envelope.find("env:Body", NS)
    need(len(body) == 1, "the body has not one child")
    if "Security" in found:  # as a signature of it would be verified (XML Signature, exc-c14n)
        assertion = etree.tostring(found["Security"][0], method="c14n", exclusive=True).decode()
        STORE.assertions.append((action.rpartition(":")[2], assertion))
    check_lengths(body[0])
    check_schema(body[0])
    return found, body[0]


LENGTHS = {"Value": 256, "nodeRepresentation": 256, "value": 256, "name": 256, "mimeType": 256}
FREE_TEXT = 1024  # of a LocalizedString


def check_lengths(found):
    """Hold texts against LongName and FreeFormText of rim.xsd, and demand identifiers."""
    for each in found.iter("{*}*"):
        kind = local(each)
        need(kind != "Value" or len(each.text or "") <= LENGTHS["Value"], "a value is too long")
        if kind in {"ExtrinsicObject", "RegistryPackage", "Association", "AdhocQuery"}:
            need(each.get("id"), f"{kind} has no id")
        for name, value in each.attrib.items():
            most = FREE_TEXT if kind == "LocalizedString" else LENGTHS.get(name, 10_000)
            need(len(value) <= most, f"{kind}: {name} is too long")


def check_object(found):
    kinds = [local(each) for each in found]
    need(all(each in ORDER for each in kinds), f"{local(found)} has {kinds}")
    need(kinds == sorted(kinds, key=ORDER.index), f"the order of {kinds} (rim.xsd)")
    for each in found.iter(f"{{{NS['rim']}}}Classification", f"{{{NS['rim']}}}ExternalIdentifier"):
        need(each.get("id"), "an object without id")
        owner = each.get("classifiedObject") or each.get("registryObject")
        need(owner == found.get("id"), f"{each.get('id')} belongs to {owner}")
    for each in found.iterfind("rim:Classification", NS):
        scheme = each.get("classificationScheme")
        if "authorInstitution" in slots(each):
            need(each.get("nodeRepresentation") == "", "author: nodeRepresentation (4.2.3.1.4)")
            continue
        need(each.get("nodeRepresentation"), f"no code of {scheme}")
        need(slots(each).get("codingScheme"), f"no codingScheme of {scheme}")
        need(each.find("rim:Name/rim:LocalizedString", NS).get("value"), f"no name of {scheme}")


def check_document(found, content):
    check_object(found)
    need(UUID.fullmatch(found.get("id")), "entryUUID")
    need(found.get("mimeType") == "application/dicom", "mimeType")
    need(found.get("objectType") == "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", "objectType")
    schemes = [
        each.get("classificationScheme") for each in found.iterfind("rim:Classification", NS)
    ]
    need(all(schemes.count(each) == 1 for each in CODED), f"codes: {schemes}")
    known = slots(found)
    need(DTM.fullmatch(known["creationTime"][0]), "creationTime")
    need(known["languageCode"][0], "languageCode")
    need(CX.fullmatch(known["sourcePatientId"][0]), "sourcePatientId")
    need(all(each.startswith("PID-") for each in known["sourcePatientInfo"]), "sourcePatientInfo")
    need(known["hash"][0] == hashlib.sha1(content).hexdigest(), "hash")
    need(known["size"][0] == str(len(content)), "size")
    need(all(e.count("^") >= 4 for e in known["urn:ihe:iti:xds:2013:referenceIdList"]), "CXi")
    names = identifiers(found)
    need(CX.fullmatch(names["patientId"]), f"patientId {names['patientId']}")
    manifest = dcmread(BytesIO(content))
    need(manifest.SOPInstanceUID == names["uniqueId"], "uniqueId is not the SOP Instance UID")
    need(manifest.ConceptNameCodeSequence[0].CodeValue == "113030", "no manifest")
    return names


class Store:
    """What is registered."""

    def __init__(self):
        self.entries, self.contents, self.sets = {}, {}, []
        self.log, self.problems = [], []
        self.mode = "normal"
        self.lock = threading.Lock()
        self.headers = []
        self.assertions = []

    def provide(self, root, parts):
        header, body = check_envelope(root, "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b")
        self.headers.append(sorted(header))
        need(local(body) == "ProvideAndRegisterDocumentSetRequest", local(body))
        need([local(e) for e in body] == ["SubmitObjectsRequest", "Document"], "children")
        objects = body.find("lcm:SubmitObjectsRequest/rim:RegistryObjectList", NS)
        entry = objects.find("rim:ExtrinsicObject", NS)
        package = objects.find("rim:RegistryPackage", NS)
        document = body.find("xdsb:Document", NS)
        need(document.get("id") == entry.get("id"), "the document is of no entry")
        need([e.tag for e in document] == [f"{{{NS['xop']}}}Include"], "no xop:Include alone")
        content = parts[unquote(document[0].get("href").removeprefix("cid:"))]
        names = check_document(entry, content)
        check_object(package)
        known = identifiers(package)
        need(known["patientId"] == names["patientId"], "XDSPatientIdDoesNotMatch")
        need(re.fullmatch(r"[0-2](\.\d+)+", known["sourceId"]), "sourceId")
        need(DTM.fullmatch(slots(package)["submissionTime"][0]), "submissionTime")
        node = objects.find("rim:Classification", NS)
        need(node.get("classificationNode") == "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "")
        need(node.get("classifiedObject") == package.get("id"), "the set is not classified")
        links = list(objects.iterfind("rim:Association", NS))
        member = links[0]
        need(member.get("associationType").endswith(":HasMember"), "HasMember")
        need(member.get("sourceObject") == package.get("id"), "HasMember: source")
        need(member.get("targetObject") == entry.get("id"), "HasMember: target")
        need(slots(member)["SubmissionSetStatus"] == ["Original"], "SubmissionSetStatus")
        if self.mode == "refuse":
            return [("XDSUnknownPatientId", names["patientId"])]
        if self.mode == "busy":
            return [("XDSRegistryBusy", "come again")]
        if known["uniqueId"] in self.sets:
            return [("XDSDuplicateUniqueIdInRegistry", known["uniqueId"])]
        for link in links[1:]:
            need(link.get("associationType") == "urn:ihe:iti:2007:AssociationType:RPLC", "RPLC")
            need(link.get("sourceObject") == entry.get("id"), "RPLC: source")
            old = self.entries.get(link.get("targetObject"))
            if old is None:
                return [("UnresolvedReferenceException", link.get("targetObject"))]
            if old.get("status") != APPROVED:
                return [("XDSRegistryDeprecatedDocumentError", link.get("targetObject"))]
            if identifiers(old)["patientId"] != names["patientId"] and self.mode != "merged":
                return [("XDSPatientIdDoesNotMatch", identifiers(old)["patientId"])]
            old.set("status", DEPRECATED)
        entry.set("status", APPROVED)
        slot = etree.SubElement(entry, f"{{{NS['rim']}}}Slot", name="repositoryUniqueId")
        values = etree.SubElement(slot, f"{{{NS['rim']}}}ValueList")
        etree.SubElement(values, f"{{{NS['rim']}}}Value").text = REPOSITORY
        entry.insert(0, slot)
        self.sets.append(known["uniqueId"])
        self.entries[entry.get("id")] = entry
        self.contents[names["uniqueId"]] = content
        return []

    def update(self, root):
        """ITI-57: an entry that is approved is deprecated."""
        _, body = check_envelope(root, "urn:ihe:iti:2010:UpdateDocumentSet")
        need(local(body) == "SubmitObjectsRequest", local(body))
        kinds = [local(each) for each in body[0]]
        need(kinds == ["RegistryPackage", "Classification", "Association"], str(kinds))
        package, node, link = body[0]
        check_object(package)
        need(node.get("classifiedObject") == package.get("id"), "the set is not classified")
        need(link.get("sourceObject") == package.get("id"), "source")
        kind = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
        need(link.get("associationType") == kind, link.get("associationType"))
        asked = {"OriginalStatus": [APPROVED], "NewStatus": [DEPRECATED]}
        need(slots(link) == asked, str(slots(link)))
        entry = self.entries.get(link.get("targetObject"))
        if self.mode == "busy":
            return [("XDSRegistryBusy", "come again")]
        if self.mode == "refuse":
            return [("XDSMetadataUpdateError", "not by you")]
        if entry is None:
            return [("UnresolvedReferenceException", link.get("targetObject"))]
        patient = identifiers(package)["patientId"]
        need(patient == identifiers(entry)["patientId"], f"the patient {patient}")
        entry.set("status", DEPRECATED)
        return []

    def query(self, root):
        _, body = check_envelope(root, "urn:ihe:iti:2007:RegistryStoredQuery")
        need([local(each) for each in body] == ["ResponseOption", "AdhocQuery"], "children")
        need(body[0].get("returnType") == "LeafClass", "returnType")
        need(body[1].get("id") == "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "query")
        asked = {key: value[0] for key, value in slots(body[1]).items()}
        need(asked["$XDSDocumentEntryStatus"] == f"('{APPROVED}')", "status")
        quoted = asked["$XDSDocumentEntryPatientId"]
        need(quoted[0] == quoted[-1] == "'", "patientId is not quoted")
        patient = quoted[1:-1].replace("''", "'")
        formats = re.findall(r"'([^']*)'", asked.get("$XDSDocumentEntryFormatCode", ""))
        for entry in self.entries.values():
            code = entry.find(f"rim:Classification[@classificationScheme='{FORMAT}']", NS)
            named = f"{code.get('nodeRepresentation')}^^{slots(code)['codingScheme'][0]}"
            if (
                entry.get("status") == APPROVED
                and identifiers(entry)["patientId"] == patient
                and (not formats or named in formats)
            ):
                yield entry

    def retrieve(self, root):
        _, body = check_envelope(root, "urn:ihe:iti:2007:RetrieveDocumentSet")
        need(local(body) == "RetrieveDocumentSetRequest", local(body))
        for each in body:
            need([local(e) for e in each] == ["RepositoryUniqueId", "DocumentUniqueId"], "order")
            yield each[0].text, each[1].text


STORE = Store()
ENVELOPE = (
    '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Header>'
    '<Action xmlns="http://www.w3.org/2005/08/addressing">{action}</Action></env:Header>'
    "<env:Body>{body}</env:Body></env:Envelope>"
)


def response(errors):
    listed = "".join(
        f'<rs:RegistryError errorCode="{code}" codeContext="{escape(context)}" severity='
        '"urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"/>'
        for code, context in errors
    )
    listed = f"<rs:RegistryErrorList>{listed}</rs:RegistryErrorList>" if errors else ""
    status = FAILURE if errors else SUCCESS
    name = "rs:RegistryResponse"
    return f'<{name} xmlns:rs="{NS["rs"]}" status="{status}">{listed}</{name}>'


def package(body, documents=()):
    root = ENVELOPE.format(action="urn:x", body=body).encode()
    check_schema(etree.fromstring(body))
    parts = [("root@registry", 'application/xop+xml; type="application/soap+xml"', root)]
    parts += [(cid, "application/dicom", content) for cid, content in documents]
    lines = b"".join(
        f"--uuid:b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: <{cid}>\r\n\r\n".encode()
        + content
        + b"\r\n"
        for cid, kind, content in parts
    )
    kind = (
        'multipart/related; boundary="uuid:b"; type="application/xop+xml"; '
        'start="<root@registry>"; start-info="application/soap+xml"'
    )
    return kind, lines + b"--uuid:b--\r\n"


def retrieve_body(documents):
    held = "".join(
        f"<DocumentResponse><RepositoryUniqueId>{repository}</RepositoryUniqueId>"
        f"<DocumentUniqueId>{uid}</DocumentUniqueId><mimeType>application/dicom</mimeType>"
        f'<Document><xop:Include xmlns:xop="{NS["xop"]}" href="cid:{cid}"/></Document>'
        "</DocumentResponse>"
        for repository, uid, cid in documents
    )
    return (
        f'<RetrieveDocumentSetResponse xmlns="{NS["xdsb"]}">{response([])}{held}'
        "</RetrieveDocumentSetResponse>"
    )


def hostile(kind, root):
    """Return answers that nobody should take; instances asked for are in some of them."""
    asked = re.findall(rb"DocumentUniqueId>([0-9.]+)<", root)
    uid = asked[0].decode() if asked else "1.2.3"
    document = retrieve_body([("1.2", uid, "d@x")])
    soap = "application/soap+xml"
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    plain = {
        "bomb": f'<!DOCTYPE a [<!ENTITY a0 "ha">{bomb}]><a>&a11;</a>',
        "entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        "fault": ENVELOPE.format(action="f", body='<env:Fault><env:Code><env:Value>env:Sender'
            "</env:Value></env:Code><env:Reason><env:Text>go away</env:Text></env:Reason>"
            "</env:Fault>"),
        "html": "<html/>",
    }  # fmt: skip
    if kind in plain:
        return ("text/html" if kind == "html" else soap), plain[kind].encode()
    if kind == "oversize":
        return package(document, [("d@x", b"x" * 3_000_000)])
    if kind == "absent":
        return package(document)
    if kind == "other":
        return package(document, [("d@x", next(iter(STORE.contents.values())))])
    mime, body = package(document, [("d@x", b"x" * 1000)])
    return mime, body[:-40]  # "cut"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, kind, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with STORE.lock:  # others write meanwhile
            state = {
                "entries": {
                    k: v.get("status").rpartition(":")[2] for k, v in STORE.entries.items()
                },
                "documents": list(STORE.contents),
                "problems": STORE.problems,
                "log": STORE.log,
                "patients": {k: identifiers(v)["patientId"] for k, v in STORE.entries.items()},
                "headers": STORE.headers,
                "assertions": STORE.assertions,
                "codes": {key: list(codes_of(each)) for key, each in STORE.entries.items()},
            }
            encoded = json.dumps(state).encode()
        self.answer("application/json", encoded)

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/mode/"):
            STORE.mode = self.path.rpartition("/")[2]
            return self.answer("text/plain", b"")
        if self.path.startswith("/forget/"):
            del STORE.entries[self.path.rpartition("/")[2]]
            return self.answer("text/plain", b"")
        if self.path.startswith("/deprecate/"):
            STORE.entries[self.path.rpartition("/")[2]].set("status", DEPRECATED)
            return self.answer("text/plain", b"")
        STORE.log.append(self.path)
        try:
            with STORE.lock:
                kind, answer = self.handle_message(body)
        except Exception as error:
            STORE.problems.append(f"{self.path}: {error!r}")
            kind, answer = package(response([("XDSRepositoryError", str(error)[:200])]))
        if STORE.mode == "hold" and self.path == "/repository":
            threading.Event().wait()  # it has been taken, and nobody is told
        return self.answer(kind, answer)

    def handle_message(self, body):
        content_type = self.headers["Content-Type"]
        if self.path == "/update":
            need(content_type.startswith("application/soap+xml"), content_type)
            answer = ENVELOPE.format(action="urn:x", body=response(STORE.update(body)))
            return "application/soap+xml", answer.encode()
        if self.path == "/registry":
            need(content_type.startswith("application/soap+xml"), content_type)
            found = b"".join(etree.tostring(each) for each in STORE.query(body)).decode()
            answer = (
                f'<q:AdhocQueryResponse xmlns:q="{NS["query"]}" status="{SUCCESS}">'
                f'<r:RegistryObjectList xmlns:r="{NS["rim"]}">{found}</r:RegistryObjectList>'
                "</q:AdhocQueryResponse>"
            )
            check_schema(etree.fromstring(answer))
            return "application/soap+xml", ENVELOPE.format(action="urn:x", body=answer).encode()
        root, parts = split(content_type, body)
        if self.path.startswith("/hostile/"):
            return hostile(self.path.rpartition("/")[2], root)
        if b"RetrieveDocumentSetRequest" in root:
            wanted = [(r, u, f"{uuid.uuid4()}@x") for r, u in STORE.retrieve(root)]
            documents = [(cid, STORE.contents[uid]) for _, uid, cid in wanted]
            return package(retrieve_body(wanted), documents)
        return package(response(STORE.provide(root, parts)))


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    sys.exit(server.serve_forever())
