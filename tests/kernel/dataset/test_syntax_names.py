"""Transfer syntaxes by the names that people give them."""

import pytest

from pacs_core.dataset import (
    ALL_TRANSFER_SYNTAXES,
    SHORT_NAMES,
    short_name_of,
    transfer_syntax_uid,
    transfer_syntax_uids,
)


@pytest.mark.parametrize("syntax", ALL_TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_uid_and_name_in_the_standard_are_known(syntax):
    assert transfer_syntax_uid(syntax.uid) == syntax.uid
    assert transfer_syntax_uid(syntax.name.upper()) == syntax.uid
    assert transfer_syntax_uid(short_name_of(syntax.uid)) == syntax.uid


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("JPEG 2000 Lossless", ".4.90"),
        ("jpeg2000-lossless", ".4.90"),
        ("JPEG-LS", ".4.80"),
        ("rle", ".5"),
        ("Explicit VR little endian", ".1"),
        ("htj2k", ".4.203"),
        ("JPEG lossless sv1", ".4.70"),
    ],
)
def test_short_names(name, suffix):
    assert transfer_syntax_uid(name) == "1.2.840.10008.1.2" + suffix


def test_short_names_are_distinct():
    assert len(set(SHORT_NAMES.values())) == len(SHORT_NAMES)


@pytest.mark.parametrize("name", ["", "JPEG", "1.2.3", "1.2.840.10008.1.2.4", "12840100081245"])
def test_other_names_are_refused_with_the_choices(name):
    with pytest.raises(ValueError, match=r"is no transfer syntax.*JPEG-LS Lossless"):
        transfer_syntax_uid(name)


def test_many_names_without_repetition():
    assert transfer_syntax_uids(["rle", "RLE Lossless"]) == ("1.2.840.10008.1.2.5",)
