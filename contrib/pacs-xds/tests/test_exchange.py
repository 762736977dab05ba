"""A whole exchange between two archives, as a registry and an audit record repository see it."""

import json
import os
import socket
import threading
from contextlib import suppress
from importlib.resources import files

import pytest
from attrs import define, evolve, field
from lxml import etree
from pacs_core.contracts import Origin
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.waiting import until

from pacs_xds.config import XdsConfig, XdsPeer
from pacs_xds.desk import Desk
from pacs_xds.fetching import retrieve_images, retrieve_manifest
from pacs_xds.transactions import DocumentKey

SCHEMA = files("pacs_audit_atna") / "audit-message.rng"
ASSERTION = (
    '<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0" '
    'IssueInstant="2026-11-29T12:00:00Z"><saml2:Issuer>urn:hospital</saml2:Issuer>'
    "<saml2:Subject><saml2:NameID>dr.jekyll</saml2:NameID></saml2:Subject></saml2:Assertion>"
)
CODES = {
    "document_class": ("IMAGES", "1.2.276.0.76.5.1", "Images"),
    "document_type": ("CT", "1.2.276.0.76.5.2", "Computed tomography"),
    "content_type": ("REPORT", "1.2.276.0.76.5.3", "A report"),
    "practice_setting": ("RADIO", "1.2.276.0.76.5.4", "Röntgen"),
    "facility": ("KHS", "1.2.276.0.76.5.5", "Krankenhaus"),
    "confidentiality": ("R", "2.16.840.1.113883.5.25", "Restricted"),
}
FORMAT = ("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1", "Key Object Selection Document")


@define
class AuditRepository:
    """An audit record repository (ITI-20), over TCP: what it was told, as XML."""

    listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    records: list = field(factory=list)

    def __attrs_post_init__(self):
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with suppress(OSError, ValueError), connection, connection.makefile("rb") as stream:
            while head := stream.read(1):
                while not head.endswith(b" "):
                    head += stream.read(1)
                message = stream.read(int(head))
                self.records.append(etree.fromstring(message[message.index(b"<AuditMessage") :]))

    def of(self, transaction, source):
        """Return what a node has said of a transaction."""
        return [
            each
            for each in list(self.records)
            if transaction in each.xpath("EventIdentification/EventTypeCode/@csd-code")
            and source in each.xpath("AuditSourceIdentification/@AuditSourceID")
        ]


@define
class Exchange:
    home: object
    guest: object
    repository: AuditRepository


@pytest.fixture(scope="module")
def exchange(tmp_path_factory, registry, tools):
    """HOME, which publishes, and GUEST, which fetches; both say so to the repository."""
    folder = tmp_path_factory.mktemp("exchange")
    (folder / "assertion.xml").write_text(ASSERTION)
    repository = AuditRepository()
    audit = {"audit-atna": {"collector": f"tcp://127.0.0.1:{repository.port}"}}
    ports = [tools.find_free_port() for _ in range(2)]
    peers = {
        title.lower(): {"ae_title": title, "host": "127.0.0.1", "port": port}
        for title, port in zip(("HOME", "GUEST"), ports, strict=True)
    }

    def tables(title, port):
        return {
            "node": {"ae_title": title, "port": port},
            "peers": {k: v for k, v in peers.items() if k != title.lower()},
            "archive": {"study_quiet_time": 1.0, "space": {"reserve": 0}},
        }

    own = {"plugins": ("audit-atna", "sop-query-retrieve"), "plugin": audit}
    xds = {"saml": str(folder / "assertion.xml")}
    with tools.open_site(
        folder / "home", registry, more=tables("HOME", ports[0]), register="complete",
        codes={name: list(each) for name, each in CODES.items()}, **xds, **own,
    ) as home:  # fmt: skip
        sources = {"home": {"url": f"http://127.0.0.1:{home.web}/xds", "unique_id": tools.LOCATION}}
        with tools.open_site(
            folder / "guest", registry, more=tables("GUEST", ports[1]), sources=sources, **xds,
            **{**own, "plugin": dict(audit)},
        ) as guest:  # fmt: skip
            yield Exchange(home, guest, repository)
    repository.listener.close()


def publish(exchange, patient, *modalities):
    study = SampleStudy()
    images = [study.make(each, PatientID=patient) for each in modalities]
    uid = exchange.home.store(*images)
    (registration,) = exchange.home.wait(uid, "registered")
    return uid, registration, {each.sop_instance_uid for each in images}


def test_an_exchange_is_audited_at_both_ends_as_ihe_has_it(exchange, registry, tools, capsys):
    """ITI TF-2 3.18.5.1, 3.41.5.1, 3.43.6.1; RAD TF-3 Table 5.1-2; PS3.15 A.5 for the form."""
    home, guest, repository = exchange.home, exchange.guest, exchange.repository
    uid, registration, images = publish(exchange, "EX-1", "CT", "MR")
    document = registration.document_uid
    assert guest.run("xds", "find", "EX-1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["document"] == document
    assert guest.run("xds", "retrieve", document) == 0
    assert home.run("delete", "--study", uid, "--yes") == 0
    home.wait(uid, "withdrawn")
    wanted = {
        # transaction: node, EventID, EventActionCode, roles of who takes part
        ("RAD-68", "HOME"): ("110106", "R"),
        ("ITI-18", "GUEST"): ("110112", "E"),
        ("ITI-43", "GUEST"): ("110107", "C"),
        ("RAD-69", "GUEST"): ("110103", "C"),
        ("RAD-69", "HOME"): ("110104", "R"),
        ("ITI-57", "HOME"): ("110106", "U"),
    }
    schema = etree.RelaxNG(file=str(SCHEMA))
    for (transaction, node), (event, action) in wanted.items():
        until(lambda t=transaction, n=node: repository.of(t, n), 60)
        (record,) = repository.of(transaction, node)
        schema.assertValid(record)
        assert record.xpath("EventIdentification/EventID/@csd-code") == [event], transaction
        found = record.find("EventIdentification")
        assert (found.get("EventActionCode"), found.get("EventOutcomeIndicator")) == (action, "0")
        assert record.xpath("EventIdentification/EventTypeCode/@codeSystemName") == [
            "IHE Transactions"
        ]
        roles = record.xpath("ActiveParticipant/RoleIDCode/@csd-code")
        assert sorted(roles) == ["110152", "110153"], transaction
        requestors = record.xpath("ActiveParticipant[@UserIsRequestor='true']")
        assert len(requestors) == 1
        # Who wrote it names its process; what the other one's is it does not know.
        assert record.xpath("ActiveParticipant/@AlternativeUserID") == [str(os.getpid())]

    def objects(transaction, node, role):
        (record,) = repository.of(transaction, node)
        path = f"ParticipantObjectIdentification[@ParticipantObjectTypeCodeRole='{role}']"
        return set(record.xpath(f"{path}/@ParticipantObjectID"))

    cx = f"EX-1^^^&{tools.DOMAIN}&ISO"
    patient, job, report = "1", "20", "3"
    assert objects("RAD-68", "HOME", patient) == {cx}
    assert objects("RAD-68", "HOME", job) == {registration.submission_uid}
    assert objects("ITI-18", "GUEST", patient) == {cx}
    assert document in objects("ITI-43", "GUEST", report)
    for node in ("GUEST", "HOME"):
        assert objects("RAD-69", node, report) == {*images, uid}
    assert objects("ITI-57", "HOME", patient) == {cx}
    assert registry.state["problems"] == []


def test_what_cannot_be_had_is_an_event_of_its_own(exchange, capsys):
    """ITI TF-2 3.43.6.1: a success for what was retrieved, and a failure for the rest."""
    home, guest, repository = exchange.home, exchange.guest, exchange.repository
    uid, registration, images = publish(exchange, "EX-2", "CT", "MR")
    gone = sorted(images)[0]
    for node in ("HOME", "GUEST"):
        until(lambda n=node: repository.of("RAD-69", n), 60)
    before = {node: len(repository.of("RAD-69", node)) for node in ("HOME", "GUEST")}

    async def remove():
        from pacs_core.contracts import InstancePath

        archive = home.node.node.opened.node.archive
        await archive.delete(InstancePath(uid, gone), Origin("test"))

    home.node.call(remove)
    assert guest.run("xds", "retrieve", registration.document_uid) == 1
    assert "2 instances: 1 stored" in capsys.readouterr().out
    for node, count in before.items():
        until(lambda n=node, c=count: len(repository.of("RAD-69", n)) == c + 2, 60)
        outcomes = {}
        for record in repository.of("RAD-69", node)[count:]:
            outcome = record.find("EventIdentification").get("EventOutcomeIndicator")
            named = set(record.xpath("ParticipantObjectIdentification/@ParticipantObjectID"))
            outcomes[outcome] = named & images
        assert outcomes == {"0": images - {gone}, "8": {gone}}, node


def test_an_assertion_goes_along_with_each_request(exchange, registry):
    """ITI TF-2 Appendix V.4 and XUA (ITI-40): as it is in the file, and in each request."""
    sent = {tuple(each) for each in registry.state["assertions"]}
    canonical = etree.tostring(etree.fromstring(ASSERTION), method="c14n", exclusive=True).decode()
    assert {action for action, _ in sent} >= {
        "ProvideAndRegisterDocumentSet-b",
        "RegistryStoredQuery",
        "RetrieveDocumentSet",
        "UpdateDocumentSet",
    }
    assert {text for _, text in sent} == {canonical}
    event = exchange.home.wait_audited("xds.images-sent", "dr.jekyll")
    assert event["details"]["saml_subject_claimed"] == "dr.jekyll"


def test_codes_are_those_of_the_affinity_domain(exchange, registry):
    """ITI TF-3 4.2.3.2: class, type, practice setting, facility, confidentiality; the format is
    that of RAD TF-3 4.68, whatever the domain.
    """
    _, registration, _ = publish(exchange, "EX-3", "CT")
    found = {tuple(each[1:]) for each in registry.state["codes"][registration.entry_uuid]}
    wanted = {each for name, each in CODES.items() if name != "content_type"}
    assert found == {*wanted, FORMAT}


def test_images_of_a_source_that_is_a_peer_come_by_c_move(exchange, tools):
    """RAD-16: no Retrieve Location UID is configured, but the AE title of the manifest is."""
    guest = exchange.guest
    uid, registration, _ = publish(exchange, "EX-4", "CT", "MR")
    node = guest.node.node.opened.node
    repository = XdsPeer(f"{exchange.home.registry.url}/repository", tools.REPOSITORY)
    config = XdsConfig(repositories={"known": repository})
    desk = Desk(node, config, guest.node.data_directory / "xds")
    key = DocumentKey(tools.REPOSITORY, registration.document_uid)
    gone = "1.2.826.0.1.99"

    async def fetch():
        references = await retrieve_manifest(desk, key)
        more = evolve(references[0], sop_instance_uid=gone)
        first = await retrieve_images(desk, (*references, more), Origin("test"))
        again = await retrieve_images(desk, references, Origin("test"))
        nowhere = evolve(references[0], retrieve_location_uid="1.2.3", retrieve_ae_title="ELSE")
        return first, again, await retrieve_images(desk, [nowhere], Origin("test"))

    first, again, nowhere = guest.node.call(fetch)
    assert (first.named, first.stored, first.known) == (3, 2, 0)
    assert [each.partition(":")[0] for each in first.failures] == [gone]
    assert (again.named, again.stored, again.known, again.failures) == (2, 0, 2, [])
    assert "no peer the AE title ELSE" in nowhere.failures[0]
    assert "the unique_id 1.2.3" in nowhere.failures[0]
    until(lambda: exchange.repository.of("RAD-16", "GUEST"), 60)
    events = exchange.repository.of("RAD-16", "GUEST")
    assert {e.xpath("EventIdentification/EventID/@csd-code")[0] for e in events} == {"110103"}
    named = {
        i for e in events for i in e.xpath("ParticipantObjectIdentification/@ParticipantObjectID")
    }
    assert named == {uid}
