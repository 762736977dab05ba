"""Columns that say where an instance is, in the tables `instance` and `change`: their values."""

from collections.abc import Sequence
from typing import Any

from pacs_core.contracts import ChangeKind, InstanceIdentity, StoredInstance


def instance_values(instance: StoredInstance, key: str) -> tuple[Any, ...]:
    """Return the values of an instance's own columns, from `SOPInstanceUID` to `corrections`.

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
    )


def change_values(
    kind: ChangeKind, when: float, instance: StoredInstance, key: str
) -> tuple[Any, ...]:
    """Return the values of the columns of a change, from `kind` to `corrections`."""
    identity = instance.identity
    above = (identity.study_instance_uid, identity.series_instance_uid)
    return (kind.value, when, *above, *instance_values(instance, key))


def stored_instance(row: Sequence[Any], key: str) -> StoredInstance:
    """Return what the columns say: UIDs of study and series, and those of the instance.

    The digest is empty where there is none, not NULL.
    """
    syntax, _, size, offset, digest, corrections = row[4:10]
    numbers = tuple(map(int, corrections.split())) if corrections else ()
    return StoredInstance(InstanceIdentity(*row[:4]), syntax, key, size, offset, digest, numbers)
