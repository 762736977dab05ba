"""Negotiation by RFC 9110 §12.5.1 and PS3.18 §8.7."""

import pytest
from hypothesis import given, strategies as st
from pacs_web.api.media_types import (
    Choice,
    MediaType,
    Representation,
    accepted_types,
    choose,
    media_type,
    read_media_types,
)

JSON = Representation("application/dicom+json")
XML = Representation("application/dicom+xml", is_multipart=True)
DICOM = Representation("application/dicom", is_multipart=True)
FILE = Representation("application/dicom")
RAW = Representation("application/octet-stream", is_multipart=True)
JP2 = Representation("image/jp2", is_multipart=True)
PNG, JPEG = Representation("image/png"), Representation("image/jpeg")


def names(header, offered):
    return [choice.representation for choice in choose(accepted_types(header), offered)]


@pytest.mark.parametrize(
    ("header", "offered", "expected"),
    [
        (None, [JSON, XML], [JSON, XML]),
        ("", [JSON, XML], [JSON, XML]),
        ("*/*", [JSON, XML], [JSON, XML]),
        ("application/dicom+json", [JSON, XML], [JSON]),
        ("application/*", [JSON, XML], [JSON]),
        ('multipart/related; type="application/dicom+xml"', [JSON, XML], [XML]),
        ("multipart/related; type=application/dicom+xml", [JSON, XML], [XML]),
        ("Multipart/Related; Type=Application/DICOM+XML", [JSON, XML], [XML]),
        ("multipart/related;type=application/dicom+xml;q=0.5,*/*;q=.1", [JSON, XML], [XML, JSON]),
        ("application/dicom+json;q=0, */*", [JSON, XML], [XML]),
        ("application/dicom+json;q=0.1, application/*;q=0.9", [JSON, PNG], [JSON]),
        ("image/png;q=0.5, image/*", [PNG, JPEG], [JPEG, PNG]),
        ("text/html", [JSON, XML], []),
        ("application/dicom", [DICOM], []),
        ("application/dicom", [DICOM, FILE], [FILE]),
        ("multipart/related", [DICOM, FILE], [DICOM]),
        ("multipart/*", [DICOM, FILE], [DICOM]),
        ('multipart/related; type="image/*"', [RAW, JP2], [JP2]),
        ('multipart/related; type="*/*"', [RAW, JP2], [RAW, JP2]),
        ("application/dicom+json; charset=utf-8", [JSON], [JSON]),
        ("application/dicom+json; charset=iso-8859-1", [JSON], []),
        ('a/b; x="c,d", application/dicom+json', [JSON], [JSON]),
        ("garbage", [JSON], []),
        (";;;,,,q=1", [JSON], []),
        ("application/dicom+json;q=7", [JSON], []),
        ("application/dicom+json;q=0.333, garbage here/there/x", [JSON], [JSON]),
        ("," * 10_000, [JSON], []),
    ],
)
def test_choose(header, offered, expected):
    assert names(header, offered) == expected


def test_transfer_syntaxes_of_several_ranges():
    header = (
        'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.70;q=0.5,'
        "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    )
    assert choose(accepted_types(header), [DICOM]) == [
        Choice(DICOM, ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"))
    ]


def test_any_transfer_syntax():
    header = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    assert choose(accepted_types(header), [RAW]) == [Choice(RAW, ("*",))]
    assert choose(accepted_types("*/*"), [RAW]) == [Choice(RAW, ("",))]


def test_the_query_parameter_counts_instead():
    found = accepted_types("text/html", ["application/dicom json"])
    assert choose(found, [JSON, XML]) == [Choice(JSON, ("",))]
    found = accepted_types("*/*", ['multipart/related;type="application/dicom xml"'])
    assert choose(found, [JSON, XML]) == [Choice(XML, ("",))]


def test_quoted_pairs():
    assert media_type(r'a/b; boundary="x\"y"') == MediaType("a/b", {"boundary": 'x"y'})


NAMES = st.sampled_from(["a/b", "image/*", "*/*", "multipart/related", "x/y+z"])
VALUES = st.text("abc01./*-", min_size=1, max_size=12)


@given(
    st.lists(
        st.tuples(NAMES, st.dictionaries(st.sampled_from(["type", "x"]), VALUES, max_size=2)),
        max_size=5,
    ),
    st.booleans(),
)
def test_round_trip(types, quoted):
    shown = ", ".join(
        name + "".join(f'; {k}="{v}"' if quoted else f";{k}={v}" for k, v in parameters.items())
        for name, parameters in types
    )
    assert [(each.name, dict(each.parameters)) for each in read_media_types(shown)] == types


@given(st.text(max_size=200))
def test_whatever_comes_is_read(text):
    choose(accepted_types(text), [JSON, XML, DICOM])
    choose(accepted_types(None, [text]), [JSON, XML, DICOM])


def test_content_types():
    assert DICOM.content_type("x") == 'multipart/related; type="application/dicom"; boundary=x'
    assert FILE.content_type("", "1.2") == "application/dicom; transfer-syntax=1.2"
