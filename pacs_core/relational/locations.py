"""Columns that say where an instance is, in the tables `instance` and `change`: their values.

Who sent it is one column: door, calling and called AE title, and the name of the principal, as
values are separated in DICOM (PS3.5 §6.4). An AE title has no backslash (PS3.5 Table 6.2-1); the
name, which may have one, is last.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pacs_core.contracts import ChangeKind, InstanceIdentity, Origin, Principal, StoredInstance


def instance_values(instance: StoredInstance, key: str) -> tuple[Any, ...]:
    """Return the values of an instance's own columns, from `SOPInstanceUID` to `origin`.

    Parameters
    ----------
    instance : StoredInstance
    key : str
        Its key, as the database can have it.
    """
    return (
        instance.identity.sop_instance_uid,
        instance.identity.sop_class_uid,
        instance.transfer_syntax_uid,
        key,
        instance.size,
        instance.dataset_offset,
        instance.digest or None,
        " ".join(map(str, instance.corrections)) or None,
        _origin_text(instance.origin) if instance.origin else None,
    )


def change_values(
    kind: ChangeKind, when: float, instance: StoredInstance, key: str
) -> tuple[Any, ...]:
    """Return the values of the columns of a change, from `kind` to `origin`."""
    identity = instance.identity
    above = (identity.study_instance_uid, identity.series_instance_uid)
    return (kind.value, when, *above, *instance_values(instance, key))


def stored_instance(row: Sequence[Any], key: str) -> StoredInstance:
    """Return what the columns say: UIDs of study and series, and those of the instance.

    The digest is empty where there is none, not NULL.
    """
    syntax, _, size, offset, digest, corrections, origin = row[4:11]
    numbers = tuple(map(int, corrections.split())) if corrections else ()
    identity = InstanceIdentity(*row[:4])
    sender = _read_origin(origin) if origin else None
    return StoredInstance(identity, syntax, key, size, offset, digest, numbers, sender)


def _origin_text(origin: Origin) -> str:
    return _join(origin.interface, origin.calling_ae_title, origin.called_ae_title, origin.user)


# Few send much: what is said of one instance was said of the one before.
@lru_cache(maxsize=1024)
def _join(*values: str) -> str:
    *first, user = (each.replace("\0", "") for each in values)
    text = "\\".join([*(each.replace("\\", "/") for each in first), user])
    return text.encode(errors="replace").decode()


@lru_cache(maxsize=1024)
def _read_origin(text: str) -> Origin | None:
    values = text.split("\\", 3)
    if len(values) < 4:
        return None  # of a later version
    interface, calling, called, user = values
    return Origin(interface, calling, called, principal=Principal(user) if user else None)
