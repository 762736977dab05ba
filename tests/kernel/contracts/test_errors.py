"""The table of errors: each door answers what the standard has for it."""

import inspect

import pytest

from pacs_core import contracts
from pacs_core.contracts import (
    ERRORS,
    AccessDeniedError,
    AssociationError,
    AuditFailedError,
    ChangesLostError,
    CodecError,
    ControlError,
    CorrectionExistsError,
    DuplicateInstanceError,
    IngestError,
    InstanceNotFoundError,
    InvalidInstanceError,
    ObjectExistsError,
    OutOfResourcesError,
    TlsConfigError,
    TlsError,
    VerificationError,
    dimse_error_of,
    http_status_of,
)
from pacs_core.dimse import CommandField, DimseError, StatusCategory, category

INTERNAL = (
    CodecError,
    ObjectExistsError,
    ChangesLostError,
    CorrectionExistsError,
    AssociationError,
    ControlError,
    TlsConfigError,
    TlsError,
)
"""Errors between parts of the node, or of associations: no answers to a request."""


def test_every_error_of_the_contracts_has_a_row():
    errors = {
        error
        for _, error in inspect.getmembers(contracts, inspect.isclass)
        if issubclass(error, Exception) and not issubclass(error, INTERNAL)
    }
    assert AccessDeniedError in errors
    assert all(any(kind in ERRORS for kind in error.__mro__) for error in errors)


def test_every_row_is_a_failure():
    for row in ERRORS.values():
        for status in (row.store, row.find, row.retrieve, row.normalized):
            assert category(status) is StatusCategory.FAILURE
        assert 400 <= row.http < 600


@pytest.mark.parametrize(
    ("error", "field", "status"),
    [
        # PS3.7 §9.1.1.1.9, §C.4.2
        (AccessDeniedError("no"), CommandField.C_STORE_RQ, 0x0124),
        (AccessDeniedError("no"), CommandField.N_CREATE_RQ, 0x0124),
        (DuplicateInstanceError("two"), CommandField.C_STORE_RQ, 0x0111),
        # PS3.4 Table B.2-1
        (InvalidInstanceError("bad"), CommandField.C_STORE_RQ, 0xC000),
        (OutOfResourcesError("full"), CommandField.C_STORE_RQ, 0xA700),
        # PS3.4 Tables C.4-1 to C.4-3
        (OutOfResourcesError("full"), CommandField.C_FIND_RQ, 0xA700),
        (OutOfResourcesError("full"), CommandField.C_MOVE_RQ, 0xA702),
        (OutOfResourcesError("full"), CommandField.C_GET_RQ, 0xA702),
        # PS3.7 Annex C
        (OutOfResourcesError("full"), CommandField.N_ACTION_RQ, 0x0213),
        (InstanceNotFoundError("gone"), CommandField.N_GET_RQ, 0x0112),
        (DimseError(0xA801, "who?"), CommandField.C_MOVE_RQ, 0xA801),
    ],
)
def test_an_error_has_the_status_of_its_service(error, field, status):
    answer = dimse_error_of(error, field)
    assert answer.status == status
    assert answer.comment == (error.comment if isinstance(error, DimseError) else str(error))


def test_an_error_has_the_row_of_its_nearest_class():
    class QuotaError(IngestError):
        pass

    class FullQuotaError(QuotaError, OutOfResourcesError):
        pass

    assert http_status_of(QuotaError("9 of 9")) == 500
    assert http_status_of(FullQuotaError("9 of 9")) == 503
    assert http_status_of(VerificationError("not the same")) == 406


def test_what_is_not_in_the_table_is_an_internal_error():
    assert dimse_error_of(ZeroDivisionError("1/0"), CommandField.C_FIND_RQ) is None
    assert http_status_of(ZeroDivisionError("1/0")) == 500


def test_peers_are_not_told_which_sink_failed():
    answer = dimse_error_of(AuditFailedError("/var/audit is full"), CommandField.C_STORE_RQ)
    assert (answer.status, answer.comment) == (0x0110, "Cannot be audited")
