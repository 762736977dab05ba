"""Load for a peer: operations on several associations at once, and how long each has taken."""

import os
from bisect import bisect_right
from collections import Counter
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from anyio import create_task_group
from attrs import define, field

from pacs_core.api.commands import Session
from pacs_core.association import Association, AssociationError, Proposal
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    element_header,
    encode_attributes,
    tag_of,
)
from pacs_core.dimse import StatusCategory, category

_CT: Final = "1.2.840.10008.5.1.4.1.1.2"
_VERIFICATION: Final = "1.2.840.10008.1.1"
_PIXEL_DATA: Final = 0x7FE0_0010
_MEGABYTE: Final = 1_000_000
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@define
class Load:
    """What is asked of a peer, and how it has answered.

    Attributes
    ----------
    session : Session
    stores : bool
        By C-STORE rather than C-ECHO.
    size : int
        Rows and columns of the images.
    latencies : list of float
        Seconds of each operation that has succeeded.
    failures : counter of str
        Reasons.
    sent : int
        Bytes of datasets that were stored.
    """

    session: Session
    stores: bool
    size: int
    latencies: list[float] = field(factory=list)
    failures: Counter[str] = field(factory=Counter)
    sent: int = 0
    _pixels: bytes = b""

    async def run(self, associations: int, count: int) -> float:
        """Carry out so many operations; return the seconds that they have taken together.

        Raises
        ------
        CommandError
            The peer cannot be reached, or leaves.
        """
        length = 2 * self.size * self.size
        header = element_header(_PIXEL_DATA, "OW", length, EXPLICIT_VR_LITTLE_ENDIAN)
        self._pixels = header + os.urandom(length)
        start = perf_counter()
        try:
            async with create_task_group() as tasks:
                for number in range(associations):
                    share = count // associations + (number < count % associations)
                    tasks.start_soon(self._associate, share)
        except BaseExceptionGroup as group:
            errors, others = group.split(AssociationError)
            if others is not None or errors is None:
                raise
            first = errors.exceptions[0]
            raise self.session.failure(first) from first  # type: ignore[arg-type]
        return perf_counter() - start

    async def _associate(self, count: int) -> None:
        sop_class = _CT if self.stores else _VERIFICATION
        proposal = Proposal(sop_class, (EXPLICIT_VR_LITTLE_ENDIAN,))
        study, series = _new_uid(), _new_uid()
        async with self.session.associate([proposal]) as association:
            call = partial(self._store, association, study, series)
            for number in range(1, count + 1):
                start = perf_counter()
                status = (
                    await call(number) if self.stores else (await association.c_echo()).status or 0
                )
                if category(status) is StatusCategory.FAILURE:
                    self.failures[f"{status:04X}H"] += 1
                else:
                    self.latencies.append(perf_counter() - start)

    async def _store(self, association: Association, study: str, series: str, number: int) -> int:
        uid = _new_uid()
        dataset = make_image(uid, study, series, number, self.size) + self._pixels
        response = await association.c_store(_CT, uid, dataset)
        self.sent += len(dataset)
        return response.status or 0


def make_image(uid: str, study: str, series: str, number: int, size: int) -> bytes:
    """Return a CT image (PS3.3 A.3) without its Pixel Data, of nobody."""
    values = {
        "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"), "SOPClassUID": (_CT,),
        "SOPInstanceUID": (uid,), "StudyDate": (), "StudyTime": (), "AccessionNumber": (),
        "Modality": ("CT",), "Manufacturer": (), "ReferringPhysicianName": (),
        "PatientName": ("BENCH^PACS",), "PatientID": ("PACS-BENCH",), "PatientBirthDate": (),
        "PatientSex": (), "KVP": (), "StudyInstanceUID": (study,), "SeriesInstanceUID": (series,),
        "StudyID": (), "SeriesNumber": ("1",), "AcquisitionNumber": (),
        "InstanceNumber": (str(number),), "ImagePositionPatient": ("0", "0", str(number)),
        "ImageOrientationPatient": ("1", "0", "0", "0", "1", "0"), "FrameOfReferenceUID": (study,),
        "PositionReferenceIndicator": (), "SamplesPerPixel": ("1",),
        "PhotometricInterpretation": ("MONOCHROME2",), "Rows": (str(size),),
        "Columns": (str(size),), "PixelSpacing": ("1", "1"), "BitsAllocated": ("16",),
        "BitsStored": ("16",), "HighBit": ("15",), "PixelRepresentation": ("0",),
        "RescaleIntercept": ("0",), "RescaleSlope": ("1",),
    }  # fmt: skip
    attributes: Attributes = {tag_of(keyword): value for keyword, value in values.items()}
    return encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN)


def summarize(load: Load, seconds: float) -> dict[str, Any]:
    """Return the figures of a load."""
    ordered = sorted(1000 * each for each in load.latencies)
    return {
        "peer": str(load.session.peer),
        "operations": len(ordered),
        "failures": dict(load.failures),
        "seconds": seconds,
        "operations_per_second": len(ordered) / seconds,
        "megabytes_per_second": load.sent / _MEGABYTE / seconds,
        "latency_ms": quantiles(ordered),
        "histogram": histogram(ordered),
    }


def quantiles(ordered: list[float]) -> dict[str, float]:
    """Return the least, the most, and what is between, of values in ascending order."""
    if not ordered:
        return {}
    last = len(ordered) - 1
    between = {name: ordered[round(share * last)] for name, share in _QUANTILES.items()}
    return {"min": ordered[0], **between, "max": ordered[-1]}


def histogram(ordered: list[float]) -> list[tuple[float, int]]:
    """Return upper bounds, each twice the one before, with how many values are up to it."""
    bounds = [0.0625 * 2**power for power in range(32)]
    below = [bisect_right(ordered, bound) for bound in bounds]
    numbers = [after - before for before, after in pairwise([0, *below])]
    found = list(zip(bounds, numbers, strict=True))
    used = [place for place, (_, number) in enumerate(found) if number]
    return found[used[0] : used[-1] + 1] if used else []


def _new_uid() -> str:
    return f"2.25.{uuid4().int}"
