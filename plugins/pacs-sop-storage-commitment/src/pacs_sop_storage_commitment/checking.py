"""Examination of what is to be committed to: index, object, SOP class (PS3.4 J.3.2)."""

import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from anyio import to_thread

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Archive,
    DamagedObjectError,
    InstanceNotFoundError,
    Level,
    NotOnlineError,
    Query,
    StoredInstance,
    UidList,
)
from pacs_core.dataset import tag_of
from pacs_sop_storage_commitment.references import FailureReason, Reference

if TYPE_CHECKING:
    from pydicom.uid import UID

_log = logging.getLogger(__name__)

_INSTANCE: Final = tag_of("SOPInstanceUID")
_AT_ONCE: Final = 200
"""Instances that the index is asked for at once."""
_BEGINNING: Final = 1024
"""Bytes of the dataset that are read to see that the object is there."""


async def check(
    archive: Archive, references: Sequence[Reference], how: Literal["readable", "digest"]
) -> dict[Reference, FailureReason]:
    """Find out for which instances the archive cannot give its word, and why.

    What it does give its word for is on disk when this returns, whatever `durability` is
    configured.

    Parameters
    ----------
    archive : Archive
    references : sequence of Reference
    how : ``"readable"`` or ``"digest"``
        As in the configuration.
    """
    failures: dict[Reference, FailureReason] = {}
    remaining = iter(references)
    while batch := list(islice(remaining, _AT_ONCE)):
        stored = await _find(archive, batch)
        committed: list[tuple[Reference, StoredInstance]] = []
        for reference in batch:
            failure = await _check_one(archive, reference, stored[reference.sop_instance_uid], how)
            if isinstance(failure, FailureReason):
                failures[reference] = failure
            else:
                committed.append((reference, failure))
        try:
            await archive.make_durable([instance for _, instance in committed])
        except OSError as error:
            _log.error("no commitment to %d instances, not on disk: %s", len(committed), error)
            failures |= dict.fromkeys((r for r, _ in committed), FailureReason.RESOURCE_LIMITATION)
    return failures


async def _find(
    archive: Archive, references: Sequence[Reference]
) -> dict[str, list[StoredInstance]]:
    uids = tuple({each.sop_instance_uid for each in references})
    found: defaultdict[str, list[StoredInstance]] = defaultdict(list)
    query = Query(Level.IMAGE, (UidList(_INSTANCE, uids),))
    async with closing(archive.instances(query)) as instances:
        async for instance in instances:
            found[instance.identity.sop_instance_uid].append(instance)
    return found


async def _check_one(
    archive: Archive,
    reference: Reference,
    stored: Sequence[StoredInstance],
    how: Literal["readable", "digest"],
) -> StoredInstance | FailureReason:
    """Return the instance that is good, or why there is none."""
    if not stored:
        known = " Storage" in (await _names())(reference.sop_class_uid).name
        return FailureReason.NO_SUCH_INSTANCE if known else FailureReason.CLASS_NOT_SUPPORTED
    # Instances of several studies may have one UID: one that is as it was sent is enough.
    fitting = [each for each in stored if each.identity.sop_class_uid == reference.sop_class_uid]
    if not fitting:
        return FailureReason.CLASS_INSTANCE_CONFLICT
    reason = FailureReason.PROCESSING_FAILURE
    for instance in fitting:
        try:
            await _read(archive, instance, whole=how == "digest")
        except InstanceNotFoundError:
            reason = FailureReason.NO_SUCH_INSTANCE
        except NotOnlineError:
            reason = FailureReason.RESOURCE_LIMITATION
        except (DamagedObjectError, OSError) as error:
            _log.warning("%s: no commitment: %s", reference.sop_instance_uid, error)
        else:
            return instance
    return reason


async def _read(archive: Archive, instance: StoredInstance, *, whole: bool) -> None:
    async with await archive.open(instance) as reader:
        if not whole:
            await reader.read(instance.dataset_offset, _BEGINNING)
            return
        async with closing(reader.chunks()) as chunks:
            async for _ in chunks:
                pass  # the reader compares the digest at the end


async def _names() -> "type[UID]":
    """Return what knows the names of UIDs, for what is missing only: it takes a second to load."""
    if "pydicom.uid" not in sys.modules:
        await to_thread.run_sync(import_module, "pydicom.uid")
    from pydicom.uid import UID

    return UID
