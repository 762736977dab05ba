"""Messages of SOAP 1.2 and packages of MTOM: written, read, and refused."""

from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pacs_web.api.multipart_writing import write_multipart

from pacs_xds.soap.envelope import (
    SoapFault,
    make_envelope,
    make_fault,
    read_envelope,
    read_fault,
)
from pacs_xds.soap.mtom import (
    MalformedPackage,
    OutgoingPart,
    PackageLimits,
    include,
    included,
    package_type,
    read_package,
    root_part,
)
from pacs_xds.soap.xml import SAML, MalformedXml, element, parse, serialize

SMALL = PackageLimits(root=2000, document=5000, total=8000, parts=5)


async def body(parts: list[OutgoingPart], size: int = 100) -> AsyncIterator[bytes]:
    async def all_parts() -> AsyncIterator[OutgoingPart]:
        for part in parts:
            yield part

    whole = b"".join([bytes(each) async for each in write_multipart(all_parts(), "limit")])
    for at in range(0, len(whole), size):
        yield whole[at : at + size]


def read(parts: list[OutgoingPart], content_type: str, *, size: int = 100):
    async def run():
        async with read_package(content_type, body(parts, size), SMALL, None) as package:
            return package.root, {k: file.read() for k, file in package.documents.items()}

    return anyio.run(run)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z0-9@.]{1,20}", fullmatch=True), st.binary(max_size=500),
                    max_size=4),
    st.integers(1, 300), st.booleans(),
)  # fmt: skip
def test_packages_come_back_as_they_were(documents, size, root_last):
    """However the network cuts them, and wherever the root is (RFC 2387 §3.2)."""
    parts = [OutgoingPart("application/dicom", v, content_id=k) for k, v in documents.items()]
    root = root_part(b"<a/>", "root@x")
    documents.pop("root@x", None)
    ordered = [*parts, root] if root_last else [root, *parts]
    kind = package_type("limit", "root@x", "urn:a")
    assert read(ordered, kind, size=size) == (b"<a/>", documents)


@pytest.mark.parametrize(
    ("kind", "parts", "status", "reason"),
    [
        ("text/xml", [], 415, "Content-Type"),
        ("", [], 415, "Content-Type"),
        ("multipart/related", [root_part(b"<a/>", "r")], 400, "boundary"),
        ("multipart/related; boundary=other", [root_part(b"<a/>", "r")], 400, "no delimiter"),
        (package_type("limit", "z", ""), [root_part(b"<a/>", "r")], 400, "is its root"),
        (package_type("limit", "r", ""), [root_part(b"x" * 2001, "r")], 413, "2000 bytes"),
        (
            package_type("limit", "r", ""),
            [root_part(b"", "r"), OutgoingPart("a/b", b"x" * 5001, content_id="d")],
            413,
            "5000 bytes",
        ),
        (
            package_type("limit", "r", ""),
            [
                root_part(b"", "r"),
                *(OutgoingPart("a/b", b"x" * 4500, content_id=str(n)) for n in range(2)),
            ],
            413,
            "bytes",
        ),
        (
            package_type("limit", "r", ""),
            [root_part(b"", "r"), *(OutgoingPart("a/b", b"", content_id=str(n)) for n in range(5))],
            400,
            "more than 5 parts",
        ),
        (
            package_type("limit", "r", ""),
            [root_part(b"", "r"), *(OutgoingPart("a/b", b"", content_id="same") for _ in "ab")],
            400,
            "of another",
        ),
        (package_type("limit", "r", ""), [OutgoingPart("a/b", b"", content_id="r")], 415, "root"),
        (
            package_type("limit", "r", ""),
            [root_part(b"", "r"), OutgoingPart("a/b", b"")],
            400,
            "no Content-ID",
        ),
    ],
)
def test_broken_packages_are_refused(kind, parts, status, reason):
    with pytest.raises(MalformedPackage, match=reason) as caught:
        read(parts, kind)
    assert caught.value.status == status


@pytest.mark.parametrize("start", ['; start="r@x"', "; start=r@x", '; start="<r@x>"', ""])
def test_however_the_root_is_named(start):
    """Axis2 leaves out the brackets of `start`, SAAJ the parameter (RFC 2387 §3.2)."""
    parts = [root_part(b"<a/>", "r@x"), OutgoingPart("a/b", b"x", content_id="d")]
    assert read(parts, f"multipart/related; boundary=limit{start}") == (b"<a/>", {"d": b"x"})


def test_identifiers_of_parts_may_be_escaped_and_the_root_may_have_none():
    """CXF escapes Content-ID like a URL, and others leave out that of the root."""
    named = OutgoingPart("a/b", b"x", content_id="1@urn%3Aus%3Agov")
    root = OutgoingPart(root_part(b"<a/>", "").content_type, b"<a/>")
    found = read([root, named], package_type("limit", "root@x", "urn:a"))
    assert found == (b"<a/>", {"1@urn:us:gov": b"x"})
    holder = element("urn:x", "Document", include("1@urn%3Aus%3Agov"))
    assert included(holder) == "1@urn:us:gov"


def test_a_package_that_ends_early_is_refused():
    async def run():
        async def cut():
            async for piece in body([root_part(b"<a/>", "r")], 10_000):
                yield piece[:-9]

        async with read_package(package_type("limit", "r", ""), cut(), SMALL, None):
            pass

    with pytest.raises(MalformedPackage, match="ends before"):
        anyio.run(run)


def test_includes():
    holder = element("urn:x", "Document", include("a%b@c"))
    holder[0].set("href", "cid:a%25b%40c")  # RFC 2392: escaped as a URL
    assert included(holder) == "a%b@c"
    holder[0].set("href", "file:///etc/passwd")
    with pytest.raises(MalformedPackage, match="does not refer"):
        included(holder)
    assert included(element("urn:x", "Document")) is None


def test_envelopes_carry_addresses_and_an_assertion():
    assertion = element(SAML, "Assertion", element(SAML, "NameID", "dr.who"))
    sent = make_envelope(
        "urn:act", element("urn:x", "Hello"), to="http://a/b", relates_to="urn:1",
        assertion=assertion,
    )  # fmt: skip
    message = read_envelope(serialize(sent))
    assert (message.action, message.relates_to, message.subject) == ("urn:act", "urn:1", "dr.who")
    assert message.message_id.startswith("urn:uuid:")
    assert message.body.tag == "{urn:x}Hello"


ENVELOPE = '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope">{}</e:Envelope>'
BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("<a>", "Sender", "well-formed"),
        ("", "Sender", "well-formed"),
        ("<a/>", "VersionMismatch", "no SOAP envelope"),
        ('<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>', "VersionMismatch",
         "SOAP 1.1"),
        (ENVELOPE.format(""), "Sender", "just one"),
        (ENVELOPE.format("<e:Body/>"), "Sender", "just one"),
        (ENVELOPE.format("<e:Body><a/><b/></e:Body>"), "Sender", "just one"),
        (ENVELOPE.format('<e:Header><x e:mustUnderstand="1"/></e:Header><e:Body><a/></e:Body>'),
         "MustUnderstand", "not known"),
        (f'<!DOCTYPE a [<!ENTITY a0 "ha">{BOMB}]><a>&a11;</a>', "Sender", "."),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "Sender",
         "declaration"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>', "Sender", "declaration"),
        ("<a>" * 100 + "</a>" * 100, "Sender", "deep"),
        ("<a>" * 100_000, "Sender", "."),
        ('<a b="' + "x" * 11_000_000 + '"/>', "Sender", "."),
    ],
)  # fmt: skip
def test_what_is_no_message_gets_the_fault_that_is_due(text, code, reason):
    with pytest.raises(SoapFault, match=reason) as caught:
        read_envelope(text.encode())
    assert caught.value.code == code
    assert caught.value.status == (400 if code == "Sender" else 500)


def test_external_entities_are_not_read(tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    with pytest.raises(MalformedXml) as caught:
        parse(f'<!DOCTYPE a [<!ENTITY x SYSTEM "{tmp_path}/secret">]><a>&x;</a>'.encode())
    assert "s3cret" not in str(caught.value)


def test_too_many_elements():
    with pytest.raises(MalformedXml, match="200000 elements"):
        parse(b"<a>" + b"<b/>" * 200_001 + b"</a>")


def test_faults_come_back():
    fault = make_fault(SoapFault("Sender", "no such thing", subcode="ActionNotSupported"), "urn:1")
    message = read_envelope(serialize(fault))
    found = read_fault(message.body)
    assert found is not None
    assert (found.code, found.reason, message.relates_to) == ("Sender", "no such thing", "urn:1")
    assert read_fault(element("urn:x", "Hello")) is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_never_more_than_a_fault(noise):
    with pytest.raises(SoapFault):
        read_envelope(noise)
