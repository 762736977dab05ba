"""Instances on their way out: as they are stored, or converted as they go (PS3.18 §8.7.3)."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

from attrs import frozen

from pacs_core.api.conversion import scanned_image
from pacs_core.api.images import IMAGE_TAGS, is_lossless
from pacs_core.api.streams import begin_iteration
from pacs_core.contracts import (
    CHUNK_SIZE,
    Action,
    Archive,
    FrameFormat,
    Plan,
    StoredInstance,
    Transcoder,
    TranscodingError,
)
from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    HeaderScanner,
    MalformedDataset,
    encoding_of,
    file_meta,
)

ANY: Final = "*"
NOT_FOR_THE_WEB: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})
"""They shall not be used with Web Services (§8.7.3)."""

_HEAD: Final = 64 * 1024
_WHOLE: Final = 4 * CHUNK_SIZE
"""Bytes of a file that are read before any of it is sent."""


def accepted_syntaxes(named: Sequence[str], stored: str) -> tuple[str, ...]:
    """Return the transfer syntaxes in which an instance may go out.

    Parameters
    ----------
    named : sequence of str
        By the request: UIDs; `*` is as stored, and an empty one is Explicit VR Little Endian
        (§8.7.3.5.2).
    stored : str
        In which it is stored.
    """
    found: list[str] = []
    for uid in named:
        if uid == ANY:
            found.append(EXPLICIT_VR_LITTLE_ENDIAN if stored in NOT_FOR_THE_WEB else stored)
        elif not uid:
            found.append(EXPLICIT_VR_LITTLE_ENDIAN)
        elif uid not in NOT_FOR_THE_WEB:
            found.append(uid)
    return tuple(dict.fromkeys(found))


@frozen
class PlannedInstance:
    """An instance that goes out, in a form that was planned.

    Attributes
    ----------
    instance : StoredInstance
    plan : Plan
    """

    instance: StoredInstance
    plan: Plan

    @property
    def is_as_stored(self) -> bool:
        """Whether the object goes out byte for byte."""
        return self.plan.action is Action.PASS_THROUGH

    @property
    def transfer_syntax_uid(self) -> str:
        """In which it goes out."""
        return self.plan.target

    @property
    def length(self) -> int | None:
        """Bytes of the file, if they are known; corrections make it longer or shorter."""
        is_known = self.is_as_stored and not self.instance.corrections
        return self.instance.size if is_known else None


class Deliveries:
    """Plans once for each transfer syntax in which instances are stored.

    Parameters
    ----------
    transcoder : Transcoder
    named : sequence of str
        Transfer syntaxes that the request names.
    accepted : callable
        Returns those of them in which an instance may go out, given that in which it is stored.
    """

    def __init__(
        self,
        transcoder: Transcoder,
        named: Sequence[str],
        accepted: Callable[[Sequence[str], str], Sequence[str]] = accepted_syntaxes,
    ) -> None:
        self._transcoder = transcoder
        self._named = named
        self._accepted = accepted
        self._plans: dict[str, Plan] = {}

    def plan(self, instance: StoredInstance) -> Plan:
        """Return what becomes of an instance."""
        stored = instance.transfer_syntax_uid
        if stored not in self._plans:
            self._plans[stored] = self._planned(stored, None)
        return self._plans[stored]

    def _planned(self, stored: str, image: FrameFormat | None) -> Plan:
        accepted = self._accepted(self._named, stored)
        plan = self._transcoder.plan(stored, accepted, image=image)
        if plan.action is Action.REFUSE and "" in self._named and not is_lossless(stored):
            # Without a transfer syntax, what there is only with loss goes out so (§8.7.3.1).
            return self._transcoder.plan(stored, (stored,))
        return plan

    def divide(
        self, instances: Iterable[StoredInstance]
    ) -> tuple[list[PlannedInstance], list[tuple[StoredInstance, str]]]:
        """Return those that can go out, and those that cannot, with the reason."""
        deliveries, refused = [], []
        for instance in instances:
            plan = self.plan(instance)
            if plan.action is Action.REFUSE:
                refused.append((instance, plan.reason))
            else:
                deliveries.append(PlannedInstance(instance, plan))
        return deliveries, refused

    async def file(
        self, archive: Archive, delivery: PlannedInstance
    ) -> AsyncIterator[bytes | memoryview]:
        """Iterate over the DICOM file (PS3.10) of a delivery.

        Raises
        ------
        TranscodingError
            It cannot be converted, which may turn out in the middle.
        InstanceNotFoundError, DamagedObjectError
            As of :meth:`Archive.open`.
        """
        instance = delivery.instance
        if delivery.is_as_stored:
            # Most objects are read once, to be checked and to be sent.
            reader, head = await archive.open_and_read(instance, _WHOLE, with_file_meta=True)
            async with reader:
                yield head
                async for chunk in reader.chunks(len(head)):
                    yield chunk
            return
        reader, head = await archive.open_and_read(instance, _HEAD)
        async with reader:
            plan = delivery.plan
            if plan.encoder:
                plan = self._planned(
                    instance.transfer_syntax_uid, image_in(head, instance.transfer_syntax_uid)
                )
            if plan.action is Action.REFUSE:
                raise TranscodingError(plan.reason)

            async def dataset() -> AsyncIterator[bytes | memoryview]:
                yield head
                async for chunk in reader.chunks(instance.dataset_offset + len(head)):
                    yield chunk

            identity = instance.identity
            uid = plan.sop_instance_uid(identity.sop_instance_uid)
            async with begin_iteration(self._transcoder.transcode(plan, dataset())) as converted:
                yield file_meta(identity.sop_class_uid, uid, plan.target)
                async for piece in converted:
                    yield piece


def image_in(head: bytes, transfer_syntax_uid: str) -> FrameFormat | None:
    """Return what image a dataset is, by its beginning; None if that does not tell."""
    if encoding_of(transfer_syntax_uid).deflated:
        return None
    scanner = HeaderScanner(transfer_syntax_uid, IMAGE_TAGS)
    try:
        scanner.feed(head)
    except MalformedDataset:
        return None
    return scanned_image(scanner)
