"""Our statuses and SOP classes beside those of pynetdicom and pydicom (PS3.4, PS3.6, PS3.7)."""

import pytest
from pydicom.uid import UID, UID_dictionary
from pynetdicom import sop_class, status

from pacs_core.contracts import NodeSettings, Setup
from pacs_core.dimse import Status, category

TABLES = {
    name: table
    for name, table in vars(status).items()
    if name.endswith("_STATUS") and isinstance(table, dict)
}
CODES = sorted({(code, kind) for table in TABLES.values() for code, (kind, _) in table.items()})


def test_there_is_something_to_compare():
    assert {"GENERAL_STATUS", "STORAGE_SERVICE_CLASS_STATUS"} <= set(TABLES)
    assert len(CODES) > 1000
    assert {kind for _, kind in CODES} == {"Success", "Warning", "Failure", "Pending", "Cancel"}


@pytest.mark.parametrize("kind", ["Success", "Warning", "Failure", "Pending", "Cancel"])
def test_statuses_have_one_category(kind):
    """PS3.7 Annex C, and the services of PS3.4: whichever service has a status."""
    ours = {code: category(code).value.capitalize() for code, theirs in CODES if theirs == kind}
    assert {code: found for code, found in ours.items() if found != kind} == {}


def test_our_names_are_of_statuses_that_exist():
    known = {code for code, _ in CODES}
    assert {member for member in Status if member.value not in known} == set()


def test_every_storage_sop_class_is_there():
    """PS3.4 Annex B.5: all of pynetdicom's; what we have beyond is in PS3.6 as well.

    Non-Patient Object Storage (PS3.4 Annex GG) is another service: its objects have no study.
    """
    from pacs_sop_storage import SOP_CLASSES

    ours = {row.uid for row in SOP_CLASSES}
    theirs = set(sop_class._STORAGE_CLASSES.values())
    assert ours.isdisjoint(sop_class._NON_PATIENT_OBJECT_CLASSES.values())
    assert theirs - ours == set()
    assert {uid for uid in ours - theirs if UID(uid).type != "SOP Class"} == set()


def test_query_retrieve_sop_classes_are_those_of_the_standard():
    from pacs_sop_query_retrieve import QueryRetrieveConfig, pacs_service_providers

    setup = Setup(NodeSettings(), {QueryRetrieveConfig: QueryRetrieveConfig()})
    ours = {uid for each in pacs_service_providers(setup) for uid in each.sop_classes}
    models = {uid for uid in ours if uid.startswith("1.2.840.10008.5.1.4.1.2.")}
    assert len(models) >= 6
    for uid in models:
        name, kind, *_ = UID_dictionary[uid]
        assert kind == "SOP Class"
        assert "Query/Retrieve" in name
    theirs = set(sop_class._QR_CLASSES.values())
    assert {uid for uid in models - theirs if not UID(uid).is_retired} == set()


def test_transfer_syntaxes_are_those_of_pydicom():
    """PS3.6 Table A-1, in its names."""
    from pacs_core.dataset import ALL_TRANSFER_SYNTAXES

    theirs = {uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax"}
    names = [syntax.name for syntax in ALL_TRANSFER_SYNTAXES if syntax.uid not in theirs]
    assert [name for name in names if not name.startswith(("JPEG XL", "Deflated"))] == []
