"""The table ``[plugin.xds]``, what is offered by it, and TLS."""

import ssl
import time

import anyio
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from pacs_core.api.tls import make_context
from pacs_core.contracts import ClientTls, NodeSettings, Setup, TlsContexts
from pacs_core.testing.operations import memory_node
from pacs_web.api import WebRoutesDescriptor
from pacs_web.testing import WebRoutesContract

from pacs_xds import pacs_check, pacs_conformance, pacs_security_findings, pacs_web_routes
from pacs_xds.config import XdsConfig, XdsPeer
from pacs_xds.interface import Registrations
from pacs_xds.manifest import DESCRIBING, StudyContent
from pacs_xds.soap.client import PeerAwayError, SoapClient
from pacs_xds.soap.xml import element
from pacs_xds.studies import UnshareableStudyError, identifier, patient_info, service_start
from pacs_xds.transactions import (
    DocumentKey,
    ImagingDocument,
    ImagingRequest,
    find_documents_request,
    imaging_request,
    read_imaging_request,
)

PEER = XdsPeer("https://registry.example/x", "1.2.3")


def setup(**given_values):
    return Setup(NodeSettings(), {XdsConfig: XdsConfig(**given_values)})


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"repository": PEER, "domains": {"": "1.2"}}, "location_uid"),
        ({"repository": PEER, "location_uid": "1.2"}, "domains"),
        ({"register": "complete"}, "plugin.xds.repository"),
        ({"domains": {"A": "x"}}, "no OID"),
        ({"sources": {"a": XdsPeer("http://a")}}, "unique_id"),
    ],
)
def test_what_is_wrong_is_said(table, problem):
    (found,) = pacs_check(setup(**table))
    assert problem in found


@pytest.mark.parametrize("oid", ["x", "1", "1.02", "3.1", "1.2."])
def test_what_is_no_oid_is_refused(oid):
    with pytest.raises(ValueError, match="must match"):
        XdsConfig(location_uid=oid)


def test_statements():
    table = {"repository": PEER, "domains": {"": "1.2"}, "location_uid": "1.2.9"}
    statement = pacs_conformance(setup(**table))[0]
    assert "RAD-69" in statement.transactions[0].name
    assert any("1.2.9" in each for each in statement.remarks)
    assert pacs_security_findings(setup(**table), None) == []
    plain = XdsPeer("http://10.1.1.1/x", "1.2.3")
    (finding,) = pacs_security_findings(setup(registry=plain), None)
    assert "not encrypted" in finding.what


class NoRegistrations(Registrations):
    """Takes everything, and keeps nothing."""

    async def request(self, study_instance_uid): ...

    async def latest(self, study_instance_uid): ...

    async def current(self, study_instance_uid): ...

    async def add(self, registration):
        return registration

    async def note_attempt(self, registration): ...

    async def note(self, registration, state, reason): ...

    async def search(self, *, study="", state=None):
        for each in ():
            yield each


class TestApi(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return pacs_web_routes(setup())[0]

    @pytest.fixture
    def node(self):
        node = memory_node()
        node.capabilities.provide(Registrations, NoRegistrations())
        return node


def content(**given_values):
    return StudyContent({**dict.fromkeys(DESCRIBING, ""), **given_values}, ())


def test_identifiers_have_their_authority():
    domains = {"": "1.2.3", "CITY": "1.2.4"}
    assert identifier(content(PatientID="a^b"), domains) == "a\\S\\b^^^&1.2.3&ISO"
    city = content(PatientID="1", IssuerOfPatientID="CITY")
    assert identifier(city, domains) == "1^^^&1.2.4&ISO"
    for wrong in (content(), content(PatientID="1", IssuerOfPatientID="X")):
        with pytest.raises(UnshareableStudyError):
            identifier(wrong, domains)


def test_patients_are_described_as_hl7_does():
    study = content(PatientName="Doe^Jane^M^Dr^Jr", PatientBirthDate="19700101", PatientSex="F")
    assert patient_info(study, "1^^^&1.2&ISO") == (
        "PID-3|1^^^&1.2&ISO", "PID-5|Doe^Jane^M^Jr^Dr", "PID-7|19700101", "PID-8|F",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20261129", "101112.5", "20261129101112"),
        ("2026.11.29", "10:11", "202611291011"),
        ("20261129", "", "20261129"),
        ("20261129", "x", "20261129"),
        ("", "101112", ""),
    ],
)
def test_service_start(date, time, expected):
    assert service_start(content(StudyDate=date, StudyTime=time)) == expected


def test_service_start_is_in_utc(monkeypatch):
    """ITI TF-3 Table 4.2.3.1.7-2: what has a time of day is in UTC."""
    monkeypatch.setenv("TZ", "CET-1CEST")
    time.tzset()
    try:
        assert service_start(content(StudyDate="20261129", StudyTime="001112")) == "20261128231112"
        assert service_start(content(StudyDate="20260701", StudyTime="0011")) == "202606302211"
        assert service_start(content(StudyDate="20261129")) == "20261129"
    finally:
        monkeypatch.undo()
        time.tzset()


uids = st.integers(1, 999_999).map("1.{}".format)
documents = st.builds(ImagingDocument, uids, uids, st.builds(DocumentKey, uids, uids))


@settings(max_examples=30, deadline=None)
@given(st.lists(documents, min_size=1, max_size=8, unique=True), st.lists(uids, min_size=1,
       max_size=4, unique=True))  # fmt: skip
def test_imaging_requests_come_back(asked, syntaxes):
    wanted = ImagingRequest(tuple(asked), tuple(syntaxes))
    found = read_imaging_request(imaging_request(wanted))
    assert set(found.documents) == set(wanted.documents)
    assert found.transfer_syntaxes == wanted.transfer_syntaxes


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40))
def test_queries_quote_whatever_a_patient_is_called(patient):
    asked = find_documents_request(patient)
    text = asked.find(".//{*}Slot[@name='$XDSDocumentEntryPatientId']//{*}Value").text
    assert text[0] == text[-1] == "'"
    assert text[1:-1].replace("''", "").count("'") == 0


class Contexts(TlsContexts):
    def server_context(self, settings):
        raise NotImplementedError

    def client_context(self, settings):
        return make_context(settings)


def test_a_peer_whose_certificate_is_not_vouched_for_is_not_asked(tmp_path):
    """It learns nothing of a patient: the handshake fails before a byte of the request."""
    right, wrong = trustme.CA(), trustme.CA()
    ca = tmp_path / "ca.pem"
    received = []

    async def run(issuer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert("127.0.0.1").configure_cert(context)
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)

        async def handle(stream):
            try:
                secured = await anyio.streams.tls.TLSStream.wrap(stream, ssl_context=context)
                received.append(await secured.receive())
                await secured.send(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
            except (anyio.BrokenResourceError, ssl.SSLError, anyio.EndOfStream):
                pass
            finally:
                await stream.aclose()

        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, handle)
            peer = XdsPeer(f"https://127.0.0.1:{port}/x", tls=ClientTls(ca=ca))
            client = SoapClient(peer, Contexts())
            try:
                async with client.ask("urn:x", element("urn:x", "Hello")):
                    pass
            except PeerAwayError as error:
                return str(error)
            finally:
                tasks.cancel_scope.cancel()

    right.cert_pem.write_to_path(str(ca))
    assert "certificate" in anyio.run(run, wrong)
    assert received == []
    assert "503" in anyio.run(run, right)
    assert b"POST /x" in received[0]
