"""What other implementations of XDS-I.b have stumbled over, by their public reports of faults."""

import http.client

import pytest
from lxml import etree
from test_source import ACTION, ENV, IMPLICIT, SOAP, post, read, request

PRETTY = ("<b:DocumentUniqueId>", "<b:DocumentUniqueId>\n      ")


@pytest.mark.parametrize(
    "kind",
    [
        # As Axis2, .NET, CXF and Spring-WS write it.
        'Multipart/Related; start-info="application/soap+xml"; type="application/xop+xml"; '
        "boundary=_MIME_MTOM_Boundary_",
        'multipart/related; boundary=_MIME_MTOM_Boundary_; type="application/xop+xml"; '
        'start="<http://tempuri.org/0>"; start-info="application/soap+xml"; action="urn:x"',
        'multipart/related;boundary="_MIME_MTOM_Boundary_";type="application/xop+xml";'
        'start-info="application/soap+xml; action=\\"urn:ihe:rad:2009\\""',
        'MULTIPART/RELATED; TYPE="APPLICATION/XOP+XML"; BOUNDARY="_MIME_MTOM_Boundary_"',
    ],
)
def test_packages_are_taken_however_their_type_is_written(site, shared, tools, kind):
    study, series, uid = shared
    text = request((study, series, tools.LOCATION, uid))
    body = (
        "\r\n--_MIME_MTOM_Boundary_\r\n"
        "content-id: <http://tempuri.org/0>\r\ncontent-type: application/xop+xml;charset=utf-8;"
        'type="application/soap+xml"\r\ncontent-transfer-encoding: 8bit\r\n\r\n'
        f"{text}\r\n--_MIME_MTOM_Boundary_--"
    )
    assert read(post(site, body, kind))[0] == "Success"


@pytest.mark.parametrize(
    "kind",
    [
        "application/soap+xml",
        f'application/soap+xml; charset="utf-8"; action="{ACTION}"',
        "Application/SOAP+XML;charset=UTF-8",
    ],
)
def test_envelopes_are_taken_however_their_type_is_written(site, shared, tools, kind):
    study, series, uid = shared
    assert read(post(site, request((study, series, tools.LOCATION, uid)), kind))[0] == "Success"


def test_who_asks_whether_to_go_on_is_told(site, shared, tools):
    """RFC 9110 10.1.1: clients of .NET and Java wait for 100 before they send the body."""
    study, series, uid = shared
    body = request((study, series, tools.LOCATION, uid)).encode()
    connection = http.client.HTTPConnection("127.0.0.1", site.web, timeout=60)
    connection.putrequest("POST", "/xds/")
    own = {"Content-Type": SOAP, "Content-Length": str(len(body))}
    for name, value in {**own, "Expect": "100-continue", "Accept-Encoding": "gzip"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Encoding")) == (200, None)
    assert b"ResponseStatusType:Success" in answer.read()
    connection.close()


def test_a_request_may_be_indented_in_other_encodings_and_say_things_twice(site, shared, tools):
    study, series, uid = shared
    once = (study, series, tools.LOCATION, uid)
    text = request(once, once, syntaxes=("1.2.840.10008.1.2.1", IMPLICIT))
    pretty = text.replace("</b:DocumentUniqueId>", "\n\t</b:DocumentUniqueId>").replace(*PRETTY)
    pretty = pretty.replace("</x:TransferSyntaxUID>", "\n</x:TransferSyntaxUID>")
    for encoding in ("UTF-8", "UTF-16", "ISO-8859-1"):
        named = pretty.replace('encoding="UTF-8"', f'encoding="{encoding}"')
        status, errors, found = read(post(site, named.encode(encoding), "application/soap+xml"))
        assert (status, errors, list(found)) == ("Success", [], [uid]), encoding


def test_other_prefixes_and_no_namespaces_of_attributes_mean_the_same(site, shared, tools):
    """Prefixes are nobody's business; comments and instructions are passed over."""
    study, series, uid = shared
    text = request((study, series, tools.LOCATION, uid))
    text = text.replace("<s:Body>", "<s:Body><!-- here -->").replace("s:", "SOAP-ENV:")
    text = text.replace("xmlnSOAP-ENV:", "xmlns:").replace("xmlns:s=", "xmlns:SOAP-ENV=")
    text = text.replace("xmlns:SOAP-ENV:", "xmlns:")
    etree.fromstring(text.encode())  # is well-formed
    assert read(post(site, text))[0] == "Success"


def test_a_description_is_not_offered_and_the_method_is_said(site):
    """Toolkits look for ``?wsdl`` first; 405 says what is taken (RFC 9110 15.5.6)."""
    connection = http.client.HTTPConnection("127.0.0.1", site.web, timeout=60)
    connection.request("GET", "/xds/?wsdl")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Allow")) == (405, "OPTIONS, POST")
    answer.read()
    connection.close()


def test_faults_are_soap_12_with_a_reason_in_a_language(site):
    answer = post(site, "<a/>")
    root = etree.fromstring(answer.content)
    text = root.find(f".//{{{ENV}}}Text")
    assert text.get("{http://www.w3.org/XML/1998/namespace}lang")
    assert answer.headers["content-type"].startswith("application/soap+xml")
