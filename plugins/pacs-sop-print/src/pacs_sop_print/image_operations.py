"""Operations on image boxes, annotation boxes and Presentation LUTs (PS3.4 H.4.3, H.4.4, H.4.9)."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
from attrs import evolve
from pydicom import Dataset

from pacs_core.contracts import Node, Operation, Response
from pacs_core.dimse import DimseError, Status
from pacs_sop_print.attributes import (
    IMAGE_BOX_RULES,
    PRESENTATION_LUT_RULES,
    apply,
    require,
    tag_of,
    to_dataset,
    value_of,
)
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.film_operations import answer, find_lut, new_uid, remove_files
from pacs_sop_print.films import PrintedImage
from pacs_sop_print.images import read_image, read_lut
from pacs_sop_print.interface import PrintQueue
from pacs_sop_print.layout import placement_statuses
from pacs_sop_print.session import (
    MAX_LUTS,
    AnnotationBox,
    FilmBox,
    ImageBox,
    LutInstance,
    Printing,
)
from pacs_sop_print.sop_classes import ANNOTATION_BOX, COLOR_IMAGE_BOX
from pacs_sop_print.statuses import PrintStatus

_HEAD: Final = 64 << 10
"""Bytes of an image box beside its pixels."""
_AT_ONCE: Final = 2

_SEQUENCES: Final = {False: "BasicGrayscaleImageSequence", True: "BasicColorImageSequence"}
_OTHERS: Final = (
    "ImageBoxPosition",
    "ReferencedPresentationLUTSequence",
    *_SEQUENCES.values(),
)


class ImageOperations:
    """What is done with image boxes, annotation boxes and Presentation LUTs.

    Parameters
    ----------
    node : Node
    config : PrintConfig
    """

    def __init__(self, node: Node, config: PrintConfig) -> None:
        self._node = node
        self._config = config
        self._room = anyio.CapacityLimiter(_AT_ONCE)

    async def set_image(self, printing: Printing, operation: Operation) -> Response:
        """N-SET of an image box: its image, and how it is printed."""
        sop_class = operation.command.sop_class_uid or ""
        box: ImageBox = printing.find(operation.command.sop_instance_uid, sop_class)
        film = next(each for each in printing.of_class(FilmBox) if box in each.boxes)
        async with self._room:
            given = await operation.read_dataset(self._config.max_image + _HEAD)
            self._check_position(given, box)
            lut = find_lut(printing, given)
            values, warnings = apply(
                IMAGE_BOX_RULES, given, self._config, box.values, others=_OTHERS
            )
            draft = evolve(box, values=values, lut=lut.lut if lut else box.lut)
            keyword = _SEQUENCES[sop_class == COLOR_IMAGE_BOX]
            if keyword not in given:
                require(given, keyword)  # 0120H: missing, and not empty
            sequence = value_of(given, keyword)
            # An empty sequence empties the box (PS3.4 H.4.3.1.2.1.3).
            content = None if sequence is None else self._read(sequence[0], sop_class)
            draft.image = content and content[0]
            self._check_placement(draft, film, warnings.add)
            if content is not None:
                await self._keep(printing, box, *content)
        files = printing.drop_image(box)
        if draft.image is not None:
            printing.size += draft.image.size
        box.values, box.lut, box.image = draft.values, draft.lut, draft.image
        if printing.folder is not None:
            await anyio.to_thread.run_sync(remove_files, printing.folder, files)
        return answer(warnings, to_dataset(values))

    def _check_position(self, given: Dataset, box: ImageBox) -> None:
        position = require(given, "ImageBoxPosition")
        if position != box.position:
            comment = f"Image Box Position of this image box is {box.position}"
            tag = tag_of("ImageBoxPosition")
            raise DimseError(Status.INVALID_ATTRIBUTE_VALUE, comment, (tag,))

    def _read(self, item: Dataset, sop_class: str) -> tuple[PrintedImage, bytes]:
        is_color = sop_class == COLOR_IMAGE_BOX
        return read_image(item, is_color=is_color, limit=self._config.max_image)

    def _check_placement(self, draft: ImageBox, film: FilmBox, add: Callable[[int], None]) -> None:
        """Say now what will become of an image that does not fit (PS3.4 H.4.3.1.2.1.2)."""
        image = draft.to_film_image(film, self._config)
        if image is None:
            return
        page = evolve(film.to_film(self._config), images=(image,))
        for status in placement_statuses(page, self._config):
            if status == PrintStatus.IMAGE_TOO_LARGE:
                raise DimseError(status, "The image is larger than its image box")
            add(status)

    async def _keep(
        self, printing: Printing, box: ImageBox, image: PrintedImage, pixels: bytes
    ) -> None:
        before = box.image.size if box.image else 0
        if printing.size - before + image.size > self._config.max_session:
            comment = f"All images have at most {self._config.max_session} bytes"
            raise DimseError(PrintStatus.NO_MEMORY_FOR_IMAGE, comment)
        spool = self._node.find(PrintQueue).spool
        if printing.folder is None:
            printing.folder = await anyio.to_thread.run_sync(spool.begin_session)
        path: Path = printing.folder / image.file
        await anyio.to_thread.run_sync(path.write_bytes, pixels)

    async def set_annotation(self, printing: Printing, operation: Operation) -> Response:
        """N-SET of an annotation box."""
        box: AnnotationBox = printing.find(operation.command.sop_instance_uid, ANNOTATION_BOX)
        given = await operation.read_dataset()
        position = require(given, "AnnotationPosition")
        if position != box.position:
            comment = f"Annotation Position of this annotation box is {box.position}"
            tag = tag_of("AnnotationPosition")
            raise DimseError(Status.INVALID_ATTRIBUTE_VALUE, comment, (tag,))
        text = value_of(given, "TextString")
        box.text = "" if text is None else str(text)[:64]
        return Response(Status.SUCCESS)

    async def create_lut(self, printing: Printing, operation: Operation) -> Response:
        """N-CREATE of a Presentation LUT."""
        if len(printing.of_class(LutInstance)) >= MAX_LUTS:
            comment = f"An association has at most {MAX_LUTS} Presentation LUTs"
            raise DimseError(Status.RESOURCE_LIMITATION, comment)
        given = await operation.read_dataset()
        uid = new_uid(printing, operation)
        lut = read_lut(given)
        others = ("PresentationLUTSequence", "PresentationLUTShape")
        _, warnings = apply(PRESENTATION_LUT_RULES, given, self._config, others=others)
        printing.instances[uid] = LutInstance(uid, lut)
        reply = Dataset()
        if lut.shape:
            reply.PresentationLUTShape = lut.shape
        return answer(warnings, reply, uid)
