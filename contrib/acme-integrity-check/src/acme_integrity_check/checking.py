"""Reads stored objects again, and tells what is wrong with them."""

from typing import Final

from attrs import define, field
from pacs_core.contracts import (
    Archive,
    InstanceNotFoundError,
    ObjectReader,
    Query,
    StoredInstance,
)
from pacs_core.dataset import Attributes, NotPart10, read_file_meta, tag_of
from pacs_core.dimse import Status

_TAG_LENGTH: Final = 8
"""The File Meta Information ends where an element of another group begins."""


@define
class Report:
    """What a check has found.

    Attributes
    ----------
    checked : int
        Instances that were looked at.
    failed : list of Attributes
        Items of Failed SOP Sequence (0008,1198).
    """

    checked: int = 0
    failed: list[Attributes] = field(factory=list)

    def fail(self, instance: StoredInstance, reason: Status) -> None:
        """Note that an instance is not whole."""
        identity = instance.identity
        self.failed.append(
            {
                tag_of("ReferencedSOPClassUID"): (identity.sop_class_uid,),
                tag_of("ReferencedSOPInstanceUID"): (identity.sop_instance_uid,),
                tag_of("FailureReason"): (str(int(reason)),),
            }
        )


async def check(archive: Archive, query: Query, max_failures: int) -> Report:
    """Check what lies below the entities that match, in the memory of one chunk at a time."""
    report = Report()
    async for instance in archive.instances(query):
        report.checked += 1
        reason = await _fault(archive, instance)
        if reason is not None:
            report.fail(instance, reason)
        if len(report.failed) >= max_failures:
            break
    return report


async def _fault(archive: Archive, instance: StoredInstance) -> Status | None:
    try:
        async with await archive.open(instance) as reader:
            whole = await _is_whole(reader, instance)
    except InstanceNotFoundError:
        return Status.NO_SUCH_SOP_INSTANCE
    except OSError:
        return Status.PROCESSING_FAILURE
    return None if whole else Status.PROCESSING_FAILURE


async def _is_whole(reader: ObjectReader, instance: StoredInstance) -> bool:
    """Tell whether an object can be read to its end, and says that it is the instance."""
    try:
        meta = read_file_meta(await reader.read(0, instance.dataset_offset + _TAG_LENGTH))
    except NotPart10:
        return False
    size = instance.dataset_offset
    async for chunk in reader.chunks(size):
        size += len(chunk)
    # Corrections may have made it longer or shorter than what is stored.
    expected = reader.size if instance.corrections else instance.size
    return (size, meta.sop_instance_uid) == (expected, instance.identity.sop_instance_uid)
