"""Status codes against the ranges of the standard, and against pynetdicom's tables."""

import pytest
from hypothesis import given, strategies as st
from pynetdicom import status as peer

from pacs_core.dimse import (
    DimseError,
    Status,
    StatusCategory,
    category,
    describe,
)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0000, StatusCategory.SUCCESS),
        (0x0001, StatusCategory.WARNING),
        (0x0107, StatusCategory.WARNING),
        (0x0116, StatusCategory.WARNING),
        (0xB000, StatusCategory.WARNING),
        (0xBFFF, StatusCategory.WARNING),
        (0x0110, StatusCategory.FAILURE),
        (0xA700, StatusCategory.FAILURE),
        (0xC123, StatusCategory.FAILURE),
        (0x9999, StatusCategory.FAILURE),
        (0xFE00, StatusCategory.CANCEL),
        (0xFF00, StatusCategory.PENDING),
        (0xFF01, StatusCategory.PENDING),
        (0xFF02, StatusCategory.FAILURE),
    ],
)
def test_category(status, expected):
    """PS3.7 Annex C, the table of status classes."""
    assert category(status) is expected


@pytest.mark.parametrize(
    "table",
    [
        peer.GENERAL_STATUS,
        peer.STORAGE_SERVICE_CLASS_STATUS,
        peer.QR_FIND_SERVICE_CLASS_STATUS,
        peer.QR_MOVE_SERVICE_CLASS_STATUS,
        peer.QR_GET_SERVICE_CLASS_STATUS,
    ],
)
def test_categories_agree_with_the_peer(table):
    ours = {code: category(code).value for code in table}
    assert ours == {code: row[0].lower() for code, row in table.items()}


@given(st.integers(0, 0xFFFF))
def test_every_status_can_be_described(status):
    assert describe(status).startswith(f"{status:04X}H ")


@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
def test_every_named_status_has_a_meaning(status):
    assert "unknown status" not in describe(status)


def test_ranges_left_to_the_implementation_are_described():
    assert describe(0xC123) == "C123H failed: cannot understand or unable to process"
    assert describe(0x1234) == "1234H unknown status (failure)"


def test_an_error_says_what_it_means():
    error = DimseError(Status.OUT_OF_RESOURCES, "disk full", (0x7FE00010,))
    assert str(error) == "A700H refused: out of resources: disk full"
    assert str(DimseError(0x0124)) == "0124H refused: not authorized"
