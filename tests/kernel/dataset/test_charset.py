"""Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 §6.1 and Annexes H to K)."""

import pytest
from hypothesis import given, strategies as st
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import PersonName

from pacs_core.dataset import (
    SPECIFIC_CHARACTER_SETS,
    are_character_sets,
    best_character_set,
    decode_text,
    encode_text,
)
from pacs_core.dataset.charset import declare, with_default

JAPANESE = ("", "ISO 2022 IR 87")
JAPANESE_KATAKANA = ("ISO 2022 IR 13", "ISO 2022 IR 87")
KOREAN = ("", "ISO 2022 IR 149")
CHINESE = ("", "ISO 2022 IR 58")

EXAMPLES = [
    # PS3.5 H.3.1, H.3.2, I.2, J.1, J.2, K.2
    (
        JAPANESE,
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        JAPANESE_KATAKANA,
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="
        b"\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        KOREAN,
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7="
        b"\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (("ISO_IR 192",), "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    (("GB18030",), "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    (
        CHINESE,
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
]
TERMS = [
    ("ISO_IR 100", "Buc^Jérôme"),
    ("ISO_IR 101", "Łódź"),
    ("ISO_IR 109", "Ħal"),
    ("ISO_IR 110", "Šķē"),
    ("ISO_IR 126", "Διονυσιος"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 138", "שרון^דבורה"),
    ("ISO_IR 144", "Люкceмбypг"),
    ("ISO_IR 148", "Çavuşoğlu"),
    ("ISO_IR 166", "ไทย"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("ISO_IR 203", "Œuvre €"),
    ("ISO_IR 192", "Łódź 山田 ไทย"),
    ("GBK", "张^小东"),
    ("GB18030", "Łódź 山田"),
]
STAND_ALONE = {"ISO_IR 192", "GBK", "GB18030"}
EXTENSIONS = [(term, text) for term, text in TERMS if term not in STAND_ALONE]


@pytest.mark.parametrize(("sets", "raw", "text"), EXAMPLES)
def test_the_standards_examples_decode_and_encode(sets, raw, text):
    assert decode_text(raw, "PN", sets) == text
    assert encode_text(text, "PN", sets) == raw


@pytest.mark.parametrize(("term", "text"), TERMS)
def test_every_single_term_goes_both_ways(term, text):
    raw = encode_text(text, "PN", (term,))
    assert b"?" not in raw
    assert decode_text(raw, "PN", (term,)) == text


@pytest.mark.parametrize(("term", "text"), EXTENSIONS)
def test_code_extensions_of_single_byte_sets_go_both_ways_and_pydicom_reads_them(term, text):
    sets = ("", term.replace("ISO_IR", "ISO 2022 IR"))
    raw = encode_text(text, "PN", sets)
    assert raw.startswith(b"\x1b") or raw[0] < 0x80
    assert decode_text(raw, "PN", sets) == text
    if term != "ISO_IR 203":  # newer than the reference
        assert str(PersonName(raw, convert_encodings(list(sets))).decode()) == text


@pytest.mark.parametrize(("sets", "raw", "text"), EXAMPLES[:3])
def test_pydicom_decodes_what_is_encoded(sets, raw, text):
    encodings = convert_encodings(list(sets))
    encoded = encode_text(f"{text}\r\n{text}", "LT", sets)
    assert decode_bytes(encoded, encodings, {0x0D, 0x0A, 0x09, 0x0C}) == f"{text}\r\n{text}"


def test_jis_x_0212_is_reached_when_jis_x_0208_lacks_the_character():
    sets = ("", "ISO 2022 IR 87", "ISO 2022 IR 159")
    raw = encode_text("丂山", "LO", sets)
    assert b"\x1b$(D" in raw
    assert decode_text(raw, "LO", sets) == "丂山"


def test_a_backslash_byte_within_a_two_byte_character_separates_nothing():
    text = "表\\ソ"  # JIS 0x493D and 0x253D; GBK 0xB1ED, 0xA5BD
    for sets in (JAPANESE, ("GBK",), ("GB18030",)):
        raw = encode_text(text, "LO", sets)
        assert decode_text(raw, "LO", sets) == text
    assert decode_text("誠".encode("gbk"), "LO", ("GBK",)).count("\\") == 0


@pytest.mark.parametrize(
    "term", ["ISO-IR 100", "ISO IR 100", "iso_ir_100", "ISO 2022-IR 100", "ISO_2022_IR_100"]
)
def test_misspelt_terms_are_understood(term):
    assert decode_text(b"J\xe9r\xf4me", "PN", (term,)) == "Jérôme"


def test_undeclared_high_bytes_are_latin_1_in_text_and_replaced_elsewhere():
    assert decode_text(b"M\xfcller", "PN", ()) == "Müller"
    assert decode_text(b"M\xfcller", "PN", ("NO SUCH SET",)) == "Müller"
    assert decode_text(b"C\xfcT", "CS", ("ISO_IR 100",)) == "C\ufffdT"


def test_undecodable_bytes_become_the_replacement_character():
    assert decode_text(b"M\xfcller", "PN", ("ISO_IR 192",)) == "M\ufffdller"
    assert "\ufffd" in decode_text(b"\x1b$B\x7f\x7f", "LO", JAPANESE)


def test_what_the_set_lacks_becomes_a_question_mark():
    assert encode_text("山", "PN", ("ISO_IR 100",)) == b"?"
    assert encode_text("山é", "PN", ("", "ISO 2022 IR 100")) == b"?\x1b-A\xe9"
    assert encode_text("é", "PN", ()) == b"?"
    assert encode_text("é", "CS", ("ISO_IR 100",)) == b"?"


@given(
    raw=st.binary(max_size=60),
    vr=st.sampled_from(["PN", "LO", "UT", "CS"]),
    sets=st.lists(
        st.sampled_from(["", "ISO_IR 100", "ISO 2022 IR 13", *JAPANESE, *KOREAN, "GB18030", "?"]),
        max_size=4,
    ),
)
def test_decoding_never_raises(raw, vr, sets):
    for prefix in (b"", b"\x1b$B", b"\x1b$)C", b"\x1b(J", b"\x1b"):
        assert isinstance(decode_text(prefix + raw, vr, tuple(sets)), str)


@given(st.text("홍길동洪吉Hong^=\\\r\n"))
def test_korean_text_with_delimiters_goes_both_ways(text):
    assert decode_text(encode_text(text, "PN", KOREAN), "PN", KOREAN) == text


def test_the_best_set_is_none_then_the_requested_then_utf_8():
    name, uid = 0x0010_0010, 0x0008_0018
    latin, japanese = {name: ("Müller",)}, {uid: ("1.2",), name: ("山田",)}
    assert best_character_set({name: ("Doe",), 0x0008_0005: ("é",)}, ("ISO_IR 100",)) == ()
    assert best_character_set(latin, ("ISO_IR 100",)) == ("ISO_IR 100",)
    assert best_character_set(latin) == ("ISO_IR 192",)
    assert best_character_set(japanese, ("ISO_IR 100",)) == ("ISO_IR 192",)
    assert best_character_set(japanese, JAPANESE) == JAPANESE
    assert best_character_set({0x0008_1110: (latin,)}) == ("ISO_IR 192",)


@pytest.mark.parametrize(
    ("raw", "sets", "text"),
    [
        # None named: UTF-8 if it is that, else Latin-1, and escape sequences count.
        ("Müller".encode(), (), "Müller"),
        ("Müller".encode(), ("ISO_IR 6",), "Müller"),
        ("Müller".encode(), ("LATIN1",), "Müller"),
        (b"M\xfcller", ("ISO_IR 6",), "Müller"),
        (b"\x1b$B;3ED\x1b(B", (), "山田"),
        # Named, and not what the bytes are.
        ("山田".encode(), JAPANESE, "山田"),
        ("山田".encode(), ("ISO_IR 126",), "山田"),
        # The set is not designated again after a delimiter.
        (b"\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7", KOREAN, "洪^吉洞"),
        (b"\xfb\xf3^\xd1\xce", KOREAN, "洪^吉"),
        # A control character ends two-byte characters (PS3.5 6.1.2.5.3).
        (b"\x1b$B;3\r\nabc", JAPANESE, "山\r\nabc"),
        # An escape sequence of G1 where that of G0 was due, as pydicom writes it.
        (b"\x1b$B;3\x1b-A^\x1b$BED\x1b-A", ("ISO 2022 IR 100", "ISO 2022 IR 87"), "山^田"),
        # Set and terms spelled in other ways.
        (b"\x1b$B;3ED\x1b(B", ("ISO 2022 IR 87",), "山田"),
        (b"\xb3\xdf", ("ISO 2022 IR 13",), "ｳﾟ"),
    ],
)
def test_what_lies_about_its_set_is_read(raw, sets, text):
    assert decode_text(raw, "PN", sets) == text


@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [
        ((), b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        (("ISO_IR 6",), b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        ((), "ヤマダ".encode(), "ヤマダ"),
        (("ISO_IR 192",), b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        (("ISO_IR 100",), b"\xd4\xcf\xc0\xde", "ÔÏÀÞ"),
        (JAPANESE, b"\x8eR\x93c", "山田"),
    ],
)
def test_a_default_explains_what_the_named_sets_do_not(declared, raw, text):
    """Where none is named, or bytes have no meaning in those that are; UTF-8 comes first."""
    assert decode_text(raw, "PN", with_default(declared, ("ISO_IR 13",))) == text
    assert declare(with_default((), ("ISO_IR 13",)), declared) == with_default(
        declared, ("ISO_IR 13",)
    )


@pytest.mark.parametrize(
    ("requested", "text", "used"),
    [
        (("ISO_IR 6",), "Müller", ("ISO_IR 192",)),
        (("ISO_IR 999",), "Müller", ("ISO_IR 192",)),
        (("LATIN1",), "Müller", ("ISO_IR 192",)),
        (("ISO 2022 IR 6",), "Müller", ("ISO_IR 192",)),
        (("iso-ir 100",), "Müller", ("ISO_IR 100",)),
        (("ISO 2022 IR 100",), "Müller", ("ISO_IR 100",)),
        (("ISO_IR 100", "ISO_IR 87"), "山", ("ISO 2022 IR 100", "ISO 2022 IR 87")),
        (("ISO 2022 IR 87",), "山", ("", "ISO 2022 IR 87")),
        (("ISO_IR 13",), "ﾔﾏﾀﾞ", ("ISO_IR 13",)),
        (("ISO_IR 13",), "表", ("ISO_IR 192",)),
        (("ISO_IR 13",), "¥ﾔ", ("ISO_IR 192",)),
        (("ISO_IR 13",), "~ﾔ", ("ISO_IR 192",)),
        (("", "ISO 2022 IR 149"), "뢔", ("ISO_IR 192",)),
        (("", "ISO 2022 IR 100"), "\x1b$Bé", ("ISO_IR 192",)),
        (("GBK",), "€é誠", ("ISO_IR 192",)),
    ],
)
def test_a_set_is_used_that_expresses_the_text_and_named_in_its_defined_term(requested, text, used):
    assert best_character_set({0x0010_0010: (text,)}, requested) == used


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from([(term,) for term in SPECIFIC_CHARACTER_SETS]),
    st.lists(st.sampled_from(SPECIFIC_CHARACTER_SETS), max_size=3),
    st.sampled_from(["PN", "LO", "UT"]),
)
def test_what_is_written_is_read_back(text, first, more, vr):
    """Whatever is asked for: strict writing, lenient reading, and the label between them."""
    tag = {"PN": 0x0010_0010, "LO": 0x0008_1030, "UT": 0x0040_A160}[vr]
    terms = best_character_set({tag: (text,)}, (*first, *more))
    assert not terms or are_character_sets(terms)
    assert decode_text(encode_text(text, vr, terms), vr, terms) == text or text.isascii()


def test_a_number_that_is_no_text_is_named():
    with pytest.raises(TypeError, match="20000010 is 1: values are text, numbers too"):
        best_character_set({0x2000_0010: (1,)})
