"""Every value finds its own instance when what was answered is sent back as the key.

From encoded dataset to index, to response, to key, to condition and back to the index: whatever the
attribute, the character set and the value representation.
"""

from contextlib import contextmanager
from itertools import count

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st
from pacs_index_sqlite.config import FurtherAttribute, SqliteIndexConfig
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import InstanceRecord, KeyMatching, Query, SingleValue
from pacs_core.dataset import (
    SPECIFIC_CHARACTER_SETS,
    HeaderScanner,
    best_character_set,
    encode_attributes,
    parse_attributes,
    tag_of,
)
from pacs_core.relational import IDENTITY, build_catalog
from pacs_core.testing.index_harness import make_record

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
FURTHER = (
    "TextValue InstitutionAddress LongCodeValue RetrieveURL StationAETitle FrameIncrementPointer "
    "ExaminedBodyThickness EffectiveEchoTime ReferencePixelX0 TagAngleSecondAxis "
    "RegionLocationMinX0 FileOffsetInContainer SelectorSVValue ImageType DateOfLastCalibration"
)
CONFIG = SqliteIndexConfig(
    synchronous="off",
    attributes=tuple(FurtherAttribute(word, "image") for word in FURTHER.split()),
)
CATALOG = build_catalog(CONFIG.attributes)
FOREIGN = {"SQ", "UI"}
ATTRIBUTES = {
    a.keyword: a
    for a in CATALOG.attributes.values()
    if a.vr not in FOREIGN and a.keyword not in IDENTITY and a.keyword != "TimezoneOffsetFromUTC"
}
SOP_INSTANCE = tag_of("SOPInstanceUID")
NUMBERS = count(1)

ODD_TEXTS = [
    "a*b", "a?b", "*", "**x", "[a-z]", "100%_", "'; DROP TABLE study; --", '""', "x\0y", "x\0*",
    "Straße", "e\u0301", "é", "İstanbul", "ǆ", "ﬁ", "Ａ", "山田", "ﾔﾏﾀﾞ", "~¥‾", "표", "表",
    "\ufffd", "a" * 70, "x  y", "tab\there", "CaSe",
]  # fmt: skip
VALUES = {
    "PN": [
        *ODD_TEXTS, "Doe^John", "^John", "Doe^^^Dr^", "^^^^", "=", "==", "Doe=", "=山田^太郎",
        "Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou==やまだ^たろう", "a=b=c=d",
        " Doe ^ John ", "de la Cruz^Ana*", "ΣΊΣΥΦΟΣ^ς",
    ],
    "DA": ["20030505", "2003.05.05", "00010101", "99991231", "20240230"],
    "TM": ["12", "1230", "123000", "12:30:00", "12:30", "235960", "240000", "24:00:00", "123000.5",
           "000000.000001", "12:30:00.123456"],
    "DT": ["2024", "202402", "20240229", "2024022912", "20240229123059.5", "2024-0500",
           "202402+0100", "20240110230000.000000-0500", "20161231235960+0000",
           "20240110240000", "00010101", "99991231235960.999999", "99991231235959+1400",
           "00010101-1200", "202401102300-0500"],
    "IS": ["5", "+5", "007", "-0", "1e3", "9" * 12, "seven", "1.0"],
    "DS": ["1", "+1.50", "01.5", "1e3", "1E+3", "-.5", "5.", "nan", "many", "0"],
    "AS": ["045Y", "45Y", "old"],
    "CS": ["CT", "ct", "A B", "A_1", "*", "MÜ"],
    "AT": ["00280009"],
    "FL": ["0.1", "1e-30", "-0.0"], "FD": ["0.1", "1e300"],
    "SL": ["-5"], "SS": ["-5"], "UL": ["4294967295"], "US": ["65535"],
    "UV": ["18446744073709551615"], "SV": ["-9223372036854775808"],
    "UR": ["http://a.b/c?d=*&e=\\f", "urn:x"],
}  # fmt: skip
LONG = ["one\\two", "line\r\nline\x0c", " leading", "\\*", "x" * 60_000, "*" + "x" * 60_000 + "?"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def values_of(vr):
    if vr in {"LT", "ST", "UT"}:
        return [*ODD_TEXTS, *(v for v in LONG if vr == "UT" or len(v) < 1000)]
    return VALUES.get(vr, ODD_TEXTS)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """An index that runs in a thread, and how to have a task done there."""
    found = SqliteIndex(tmp_path_factory.mktemp("index") / "index.sqlite", CONFIG)
    with start_blocking_portal() as portal:
        portal.call(found.start)
        yield found, portal
        portal.call(found.stop)


@contextmanager
def held(index, data):
    """Put an instance whose dataset ends with `data` into the index, for a while."""
    found, portal = index
    number = next(NUMBERS)
    record = make_record(f"{number}.1.1", PatientID=f"P{number}")
    scanner = HeaderScanner(EXPLICIT, found.wanted_tags)
    scanner.feed(data)
    scanner.finish()
    record = InstanceRecord(
        evolve(record.instance, key=f"key/{number}"), {**record.attributes, **scanner.attributes}
    )
    assert portal.call(found.add, record).existing is None
    uid = record.instance.identity.sop_instance_uid
    try:
        yield uid
    finally:
        assert portal.call(found.remove, record.instance.identity.path)


def search(index, attribute, uid, conditions=()):
    """Return the values of the attribute where the instance is found."""
    found, portal = index
    own = SingleValue(SOP_INSTANCE, uid)
    query = Query(attribute.level, (own, *conditions), frozenset({attribute.tag}))

    async def run():
        return [result[attribute.tag] async for result in found.search(query)]

    return portal.call(run)


def check_found(index, attribute, uid, asked, matching):
    (answered,) = search(index, attribute, uid)
    keys = [answered, *((value,) for value in answered)] if len(answered) > 1 else [answered]
    for values in keys:
        key = {attribute.tag: values}
        data = encode_attributes(key, IMPLICIT, best_character_set(key, asked))
        conditions = matching.conditions(parse_attributes(data, IMPLICIT), [attribute.tag])
        assert search(index, attribute, uid, conditions) == [answered], (answered, conditions)


@pytest.mark.parametrize("offset", ["", "-0500"])
@pytest.mark.parametrize("attribute", ATTRIBUTES.values(), ids=lambda a: f"{a.vr}-{a.keyword}")
def test_odd_values(index, attribute, offset):
    values = values_of(attribute.vr)
    for number, value in enumerate(values):
        given = {attribute.tag: (value,)}
        if number % 3 == 0 and "\\" not in value and not attribute.single:
            given = {attribute.tag: (value, values[number - 1])}
        if offset:
            given[tag_of("TimezoneOffsetFromUTC")] = (offset,)
        data = encode_attributes(given, EXPLICIT, ("ISO_IR 192",))
        with held(index, data) as uid:
            check_found(index, attribute, uid, (), KeyMatching())


CHARACTER_SETS = st.lists(st.sampled_from(["", *SPECIFIC_CHARACTER_SETS]), max_size=3).map(tuple)
TEXTUAL = [a for a in ATTRIBUTES.values() if a.vr in {"LO", "LT", "PN", "SH", "UC", "UT", "ST"}]
ONE_OF_EACH = list({a.vr: a for a in TEXTUAL}.values())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ONE_OF_EACH), TEXT, CHARACTER_SETS, CHARACTER_SETS)
def test_any_text_in_any_set(index, attribute, text, stored_in, asked):
    given_attributes = {attribute.tag: (text,)}
    data = encode_attributes(
        given_attributes, EXPLICIT, best_character_set(given_attributes, stored_in)
    )
    with held(index, data) as uid:
        check_found(index, attribute, uid, asked, KeyMatching())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ONE_OF_EACH), st.binary(min_size=1, max_size=20), CHARACTER_SETS)
def test_any_bytes_whatever_they_claim_to_be(index, attribute, raw, claimed):
    raw += b" " * (len(raw) % 2)
    header = encode_attributes({}, EXPLICIT, claimed) if claimed else b""
    length = len(raw).to_bytes(4 if attribute.vr in {"UC", "UT"} else 2, "little")
    place = attribute.tag.to_bytes(4, "big")
    tag = bytes((place[1], place[0], place[3], place[2]))
    reserved = b"\0\0" if attribute.vr in {"UC", "UT"} else b""
    data = header + tag + attribute.vr.encode() + reserved + length + raw
    with held(index, data) as uid:
        check_found(index, attribute, uid, claimed, KeyMatching())
        conditions = KeyMatching().conditions(parse_attributes(data, EXPLICIT), [attribute.tag])
        assert len(search(index, attribute, uid, conditions)) == 1
