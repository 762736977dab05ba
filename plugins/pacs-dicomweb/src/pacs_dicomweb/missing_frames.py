"""Instances with fewer frames than Number of Frames says: those that there are can be had.

A recorder that was stopped too early writes such. What is asked for beyond is not found, alone; of
a list, what there is comes, with 206 (PS3.18 Table 8.5-1) and a warning.
"""

import logging
from collections.abc import Sequence
from typing import Final

from attrs import frozen
from pacs_web.api.datasets import warning_header

from pacs_core.contracts import Archive, FrameCount, FrameNotFoundError, StoredInstance

_LOG: Final = logging.getLogger(__name__)


@frozen
class FoundFrames:
    """Frames of a list that there are.

    Attributes
    ----------
    numbers : sequence of int
    warning : str
        What is to be said of the others; empty if there are none.
    """

    numbers: Sequence[int]
    warning: str = ""

    @property
    def status(self) -> int:
        """Of an answer with them."""
        return 206 if self.warning else 200

    def headers(self, service: str) -> dict[str, str]:
        """Return the Warning header, if there is a warning, for the service at a URL."""
        return warning_header(service, [self.warning] if self.warning else [])


async def find_frames(
    archive: Archive, instance: StoredInstance, numbers: Sequence[int]
) -> FoundFrames:
    """Return those of several frames that there are.

    A single one is not looked for: who reads it finds out.

    Raises
    ------
    FrameNotFoundError
        The instance does not even say that it has one of them, or has none of them.
    UnreadableFramesError, MalformedDataset, InstanceNotFoundError, DamagedObjectError
        As of :meth:`Archive.frames`.
    """
    if len(numbers) < 2:
        return FoundFrames(numbers)
    count = await archive.frame_count(instance)
    there = tuple(number for number in numbers if number <= count.frames)
    if len(there) == len(numbers):
        return FoundFrames(numbers)
    highest = max(numbers)
    if not there or highest > count.said:
        raise FrameNotFoundError(highest, count.frames, count.said)
    return FoundFrames(there, _warn(instance, count))


async def find_all_frames(archive: Archive, instance: StoredInstance, said: int) -> FoundFrames:
    """Return all frames that there are of an instance that says how many.

    Raises
    ------
    FrameNotFoundError
        There is none.
    UnreadableFramesError, MalformedDataset, InstanceNotFoundError, DamagedObjectError
        As of :meth:`Archive.frames`.
    """
    if said < 2:
        return FoundFrames((1,))
    count = await archive.frame_count(instance)
    if not count.frames:
        raise FrameNotFoundError(1, 0)
    numbers = range(1, count.frames + 1)
    return FoundFrames(numbers, _warn(instance, count) if count.frames < count.said else "")


def _warn(instance: StoredInstance, count: FrameCount) -> str:
    uid = instance.identity.sop_instance_uid
    _LOG.warning("instance %s has %d of %d frames", uid, count.frames, count.said)
    return f"The instance has {count.frames} of the {count.said} frames that it says it has"
