"""Film sessions of several requestors at once, against a model of PS3.4 H.4."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, given, settings, strategies as st
from pacs_sop_print.associations import OpenAssociations
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.films import PrintJob
from pacs_sop_print.interface import ExecutionStatus, JobRecord, PrintQueue
from pacs_sop_print.provider import PrintProvider
from pacs_sop_print.sop_classes import (
    FILM_BOX,
    FILM_SESSION,
    GRAYSCALE_IMAGE_BOX,
    GRAYSCALE_META,
)
from pacs_sop_print.spool import Spool
from pydicom import Dataset

from pacs_core.contracts import AssociationInfo, Response
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, decode_dataset, encode_dataset
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.operations import (
    MemoryDataset,
    MemoryOperation,
    accepted_context,
    answer,
    memory_association,
    memory_node,
)

CONTEXT = accepted_context(GRAYSCALE_META)
SESSION = "1.2.1"
CONFIG = PrintConfig(max_films=2)


class MemoryPrintQueue(PrintQueue):
    """Keeps jobs, and prints none."""

    def __init__(self, directory: Path) -> None:
        self.spool = Spool(directory)
        self.spool.prepare()
        self.jobs: list[tuple[PrintJob, str]] = []

    async def accept(self, job: PrintJob, folder: str) -> None:
        self.jobs.append((job, folder))

    async def find(self, uid: str) -> JobRecord | None:
        return None

    async def find_all(self, uids: Sequence[str]) -> list[JobRecord]:
        return []

    async def note(
        self, uid: str, state: ExecutionStatus, info: str = "NORMAL", error: str = ""
    ) -> None: ...

    async def trouble(self) -> str:
        return ""

    async def forget(self, ended_before: float) -> int:
        return 0


@define
class Model:
    """A film session as it should be: each film with its image boxes, and whether they are full."""

    session: bool = False
    films: dict[str, list[bool]] = field(factory=dict)
    printed: list[int] = field(factory=list)
    """Images of each film that was accepted."""

    def expect(self, word: str, film: str, position: int) -> int:
        """Return the status that is due, after the change that goes with it."""
        boxes = self.films.get(film)
        match word:
            case "create session":
                was, self.session = self.session, True
                return 0x0111 if was else 0
            case "create film" if boxes is not None:
                return 0x0111
            case "create film" if not self.session:
                return 0x0106
            case "create film" if len(self.films) == CONFIG.max_films:
                return 0x0213
            case "create film":
                self.films[film] = [False, False]
                return 0
            case "fill" | "empty":
                if boxes is None:
                    return 0x0112
                boxes[position] = word == "fill"
                return 0
            case "print film":
                return 0x0112 if boxes is None else self._print([boxes], 0xB603)
            case "print session" if not self.session:
                return 0x0112
            case "print session":
                films = list(self.films.values())
                return self._print(films, 0xB602) if films else 0xC600
            case "delete film":
                return 0x0112 if self.films.pop(film, None) is None else 0
            case _:
                was, self.session = self.session, False
                self.films.clear()
                return 0 if was else 0x0112

    def _print(self, films: list[list[bool]], empty: int) -> int:
        self.printed += [sum(boxes) for boxes in films if any(boxes)]
        return 0 if all(any(boxes) for boxes in films) else empty


@define
class Requestor:
    """An association; all use the same UIDs."""

    number: int
    provider: PrintProvider
    boxes: dict[str, list[str]] = field(factory=dict)
    association: AssociationInfo = field()

    @association.default
    def _own(self) -> AssociationInfo:
        base = memory_association(CONTEXT)
        origin = evolve(base.origin, calling_ae_title=f"SCU{self.number}")
        return evolve(base, id=f"memory-{self.number}", origin=origin)

    async def do(self, word: str, film: str, position: int) -> int:
        boxes = self.boxes.get(film, ["1.9.8", "1.9.9"])
        match word:
            case "create session":
                return (await self._send("N_CREATE_RQ", FILM_SESSION, SESSION)).status
            case "create film":
                dataset = Dataset()
                dataset.ImageDisplayFormat = "STANDARD\\1,2"
                item = Dataset()
                item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = FILM_SESSION, SESSION
                dataset.ReferencedFilmSessionSequence = [item]
                response = await self._send("N_CREATE_RQ", FILM_BOX, film, dataset)
                if isinstance(response.dataset, bytes):
                    made = decode_dataset(response.dataset, EXPLICIT_VR_LITTLE_ENDIAN)
                    references = made.ReferencedImageBoxSequence
                    self.boxes[film] = [str(each.ReferencedSOPInstanceUID) for each in references]
                return response.status
            case "fill" | "empty":
                dataset = self._image(position + 1, full=word == "fill")
                uid = boxes[position]
                return (await self._send("N_SET_RQ", GRAYSCALE_IMAGE_BOX, uid, dataset)).status
        field, kind = word.split()
        what = (FILM_BOX, film) if kind == "film" else (FILM_SESSION, SESSION)
        service = "N_ACTION_RQ" if field == "print" else "N_DELETE_RQ"
        return (await self._send(service, *what)).status

    def _image(self, position: int, *, full: bool) -> Dataset:
        dataset, item = Dataset(), Dataset()
        item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
        item.Rows = item.Columns = 2
        item.BitsAllocated = item.BitsStored = 8
        item.HighBit, item.PixelRepresentation = 7, 0
        item.add_new("PixelData", "OB", bytes([self.number]) * 4)
        dataset.ImageBoxPosition = position
        dataset.BasicGrayscaleImageSequence = [item] if full else []
        return dataset

    async def _send(
        self, service: str, sop_class: str, uid: str, dataset: Dataset | None = None
    ) -> Response:
        side = "affected" if service == "N_CREATE_RQ" else "requested"
        own: dict[str, Any] = {f"{side}_sop_class_uid": sop_class, f"{side}_sop_instance_uid": uid}
        if service == "N_ACTION_RQ":
            own["action_type_id"] = 1
        command = Command(field=CommandField[service], message_id=1, **own)
        data = b"" if dataset is None else encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN)
        stream = MemoryDataset(data)
        return await answer(
            self.provider, MemoryOperation(command, CONTEXT, self.association, stream)
        )


WORDS = (
    "create session", "create film", "create film", "fill", "fill", "fill", "empty",
    "print film", "print session", "delete film", "delete session",
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(WORDS), st.sampled_from(["1.3.1", "1.3.2", "1.3.3"]), st.integers(0, 1)
    ),
    max_size=25,
)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plans=st.lists(STEPS, min_size=1, max_size=3))
def test_requestors_do_not_disturb_each_other(plans: list[list[tuple[str, str, int]]]) -> None:
    anyio.run(check, plans)


async def check(plans: list[list[tuple[str, str, int]]]) -> None:
    with TemporaryDirectory() as directory:
        queue, node = MemoryPrintQueue(Path(directory)), memory_node()
        associations = OpenAssociations()
        node.capabilities.provide(PrintQueue, queue)  # type: ignore[type-abstract]
        node.capabilities.provide(OpenAssociations, associations)
        provider = PrintProvider(node, CONFIG)
        models = [Model() for _ in plans]
        requestors = [Requestor(number, provider) for number in range(len(plans))]

        async def follow(number: int) -> None:
            model, requestor = models[number], requestors[number]
            for step in plans[number]:
                status = await requestor.do(*step)
                expected = model.expect(*step)
                assert (step, f"{status:04X}") == (step, f"{expected:04X}")
                printing = associations.printing[requestor.association.id]
                files = list(printing.folder.iterdir()) if printing.folder else []
                assert len(files) == sum(sum(boxes) for boxes in model.films.values())
                assert printing.size == 4 * len(files)

        async with anyio.create_task_group() as tasks:
            for number in range(len(plans)):
                tasks.start_soon(follow, number)
        for number, model in enumerate(models):
            jobs = [each for each in queue.jobs if each[0].originator == f"SCU{number}"]
            films = [film for job, _ in jobs for film in job.films]
            assert [len(film.images) for film in films] == model.printed
            for job, folder in jobs:
                for image in (image for film in job.films for image in film.images):
                    pixels = (queue.spool.folder(folder) / image.image.file).read_bytes()
                    assert pixels == bytes([number]) * 4
        for requestor in requestors:
            await provider.association_ended(requestor.association, "released")
        assert not list((Path(directory) / "sessions" / "0").iterdir())
