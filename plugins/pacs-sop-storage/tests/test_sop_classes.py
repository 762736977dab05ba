"""The table of SOP classes against the dictionaries of pydicom and pynetdicom."""

import pytest
from pacs_sop_storage import SOP_CLASSES, StorageConfig, pacs_service_providers
from pydicom.uid import UID_dictionary
from pynetdicom.sop_class import _STORAGE_CLASSES

from pacs_core.contracts import NodeSettings, Setup
from pacs_core.dimse import is_valid_uid

BY_UID = {row.uid: row for row in SOP_CLASSES}
RT_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"
CT = "1.2.840.10008.5.1.4.1.1.2"

# "Storage" in their name, but other services: media and commitment (PS3.4 Annexes I, J),
# non-patient objects and inventories (PS3.4 Annexes GG and KK).
NOT_STORAGE = {
    "MediaStorageDirectoryStorage",
    "StorageCommitmentPushModel",
    "StorageCommitmentPullModel",
    "HangingProtocolStorage",
    "ColorPaletteStorage",
    "GenericImplantTemplateStorage",
    "ImplantAssemblyTemplateStorage",
    "ImplantTemplateGroupStorage",
    "CTDefinedProcedureProtocolStorage",
    "XADefinedProcedureProtocolStorage",
    "ProtocolApprovalStorage",
    "InventoryStorage",
}


def offered(config: StorageConfig) -> set[str]:
    setup = Setup(NodeSettings(), {StorageConfig: config})
    return set(pacs_service_providers(setup)[0].sop_classes)


def test_uids_are_valid_and_unique():
    assert len(BY_UID) == len(SOP_CLASSES)
    assert all(is_valid_uid(uid) for uid in BY_UID)


def test_every_storage_sop_class_of_pynetdicom_is_there():
    assert set(_STORAGE_CLASSES.values()) <= set(BY_UID)
    assert not any(BY_UID[uid].retired for uid in _STORAGE_CLASSES.values())


def test_every_storage_sop_class_of_pydicom_is_there_as_pydicom_says():
    for uid, (name, kind, _info, retired, keyword) in UID_dictionary.items():
        if kind == "SOP Class" and "Storage" in name and keyword not in NOT_STORAGE:
            row = BY_UID[uid]
            assert (row.keyword, row.retired) == (keyword, bool(retired))
            assert row.name == name.replace(" SOP Class", "")


def test_all_are_offered_by_default_also_the_retired():
    assert offered(StorageConfig()) == set(BY_UID)


def test_groups_can_be_enabled_and_disabled():
    assert RT_PLAN in offered(StorageConfig(enabled=("rt",)))
    assert CT not in offered(StorageConfig(enabled=("rt",)))
    assert CT not in offered(StorageConfig(disabled=("ct",)))
    assert not any(BY_UID[uid].retired for uid in offered(StorageConfig(retired=False)))


def test_private_sop_classes_can_be_added():
    assert "1.2.3.4" in offered(StorageConfig(enabled=("rt",), private=("1.2.3.4",)))


def test_support_covers_both_roles_and_all_transfer_syntaxes():
    """As SCU it serves C-GET, in whatever the objects are encoded (PS3.4 §C.4.3)."""
    setup = Setup(NodeSettings(), {StorageConfig: StorageConfig()})
    support = pacs_service_providers(setup)[0].sop_classes[CT]
    assert support.scp
    assert support.scu
    assert {"1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"} <= set(
        support.transfer_syntaxes
    )


@pytest.mark.parametrize(
    ("mistake", "part"),
    [
        ({"enabled": ("ctt",)}, "ctt"),
        ({"disabled": ("MR",)}, "the groups are"),
        ({"private": ("1.2.x",)}, "1.2.x"),
        ({"transfer_syntaxes": ()}, "at least one"),
    ],
)
def test_mistakes_in_the_configuration_are_explained(mistake, part):
    with pytest.raises(ValueError, match=part):
        StorageConfig(**mistake)
