"""The contract of de-identifiers, as tests that a plugin's tests inherit.

Example
-------
::

    class TestOurDeidentifier(DeidentifierContract):
        def make(self, directory: Path) -> Deidentifier:
            return OurDeidentifier(directory)
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pacs_core.contracts import DeidentificationRefusedError, Deidentifier
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta, read_file_meta
from pacs_core.testing.datasets import SampleDataset, SampleStudy

_NAME, _ID = "Contract^Petronella", "ID-40817"


def _file(dataset: SampleDataset) -> bytes:
    uid = dataset.sop_instance_uid
    meta = file_meta(dataset.sop_class_uid, uid, EXPLICIT_VR_LITTLE_ENDIAN, "PETRONELLA")
    return meta + dataset.encode(EXPLICIT_VR_LITTLE_ENDIAN)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def _large_files(folder: Path, size: int) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if path.stat().st_size >= size]


class DeidentifierContract(ABC):
    """What every de-identifier does."""

    @abstractmethod
    def make(self, directory: Path) -> Deidentifier:
        """Return a de-identifier that has not started, and may keep files in a directory."""

    @asynccontextmanager
    async def started(self, directory: Path) -> AsyncIterator[Deidentifier]:
        """Start a de-identifier, and stop it."""
        deidentifier = self.make(directory)
        await deidentifier.start()
        try:
            yield deidentifier
        finally:
            await deidentifier.stop()

    @pytest.mark.anyio
    async def test_what_was_made_tells_nothing(self, tmp_path: Path) -> None:
        """A whole file, which is another instance, again the same after a restart."""
        study = SampleStudy()
        dataset = study.make("CT", PatientName=_NAME, PatientID=_ID)
        made = []
        for _ in range(2):
            async with (
                self.started(tmp_path) as deidentifier,
                deidentifier.deidentify(_pieces(_file(dataset))) as found,
            ):
                content = b"".join([piece async for piece in found.read(0)])
                rest = b"".join([piece async for piece in found.read(found.dataset_offset)])
                made.append((found.sop_instance_uid, content))
                meta = read_file_meta(content)
                assert (meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid) == (
                    found.sop_class_uid,
                    found.sop_instance_uid,
                    found.transfer_syntax_uid,
                )
                assert content[found.dataset_offset :] == rest
                assert len(content) == found.size
        assert made[0] == made[1]
        assert made[0][0] != dataset.sop_instance_uid
        for secret in ("Petronella", "PETRONELLA", _ID, study.study_instance_uid):
            assert secret.encode() not in made[0][1]

    @pytest.mark.anyio
    async def test_refusals(self, tmp_path: Path) -> None:
        """What is no instance, or damaged, is refused, and the next one is not; nothing is left."""
        content = _file(SampleStudy().make("CT"))
        async with self.started(tmp_path) as deidentifier:
            for bad in (b"", b"no DICOM file" * 50, content[:-10], content[:300]):
                with pytest.raises(DeidentificationRefusedError):
                    async with deidentifier.deidentify(_pieces(bad)):
                        pass
            with pytest.raises(LookupError):
                async with deidentifier.deidentify(_pieces(content), "no such profile"):
                    pass
            for profile in deidentifier.profiles:
                async with deidentifier.deidentify(_pieces(content), profile) as found:
                    assert found.size
        assert _large_files(tmp_path, len(content)) == []
