"""Print Management as SCU (PS3.4 Annex H): pictures to the films of somebody else's printer."""

from collections.abc import Awaitable, Callable, Sequence
from fractions import Fraction
from typing import Any, Final

from attrs import frozen
from pydicom import Dataset

from pacs_core.contracts import Operation, Proposal, RequestedAssociation, Response
from pacs_core.dimse import Command, CommandField, Status, StatusCategory, category, describe
from pacs_sop_print.film_operations import reference
from pacs_sop_print.sop_classes import (
    ANNOTATION_BOX,
    COLOR_IMAGE_BOX,
    COLOR_META,
    FILM_BOX,
    FILM_SESSION,
    GRAYSCALE_IMAGE_BOX,
    GRAYSCALE_META,
    PRINTER,
    PRINTER_INSTANCE,
)
from pacs_sop_print.statuses import STATUSES

_NUMBER_OF: Final = {"L": 1, "RGB": 3}


class PrintError(Exception):
    """The printer refused something, or is not ready."""


@frozen
class Picture:
    """A picture to be printed: 8 bit grey, or red, green and blue, row by row.

    Attributes
    ----------
    width, height : int
    mode : str
        ``L`` or ``RGB``.
    pixels : bytes
    pixel_aspect : float
        Height of a pixel by its width.
    """

    width: int
    height: int
    mode: str
    pixels: bytes
    pixel_aspect: float = 1.0


ReadPicture = Callable[[], Awaitable[Picture]]


@frozen
class FilmOptions:
    """What is asked of the printer.

    Attributes
    ----------
    format : str
        Image Display Format.
    is_color : bool
    session, film, image : mapping of str to values
        Attributes of film session, film box and image boxes, by keyword.
    annotation : tuple of str
        Lines for the annotation boxes of each film.
    collate : bool
        Whether the film session is printed as a whole, not each film box.
    """

    format: str
    is_color: bool
    session: dict[str, Any]
    film: dict[str, Any]
    image: dict[str, Any]
    annotation: tuple[str, ...] = ()
    collate: bool = False

    @property
    def meta_class(self) -> str:
        """The Meta SOP Class."""
        return COLOR_META if self.is_color else GRAYSCALE_META

    @property
    def proposals(self) -> list[Proposal]:
        """Presentation contexts to propose."""
        more = [ANNOTATION_BOX] if self.annotation else []
        return [Proposal(uid) for uid in (self.meta_class, *more)]


async def acknowledge(operation: Operation) -> Response:
    """Take events of the printer (PS3.4 H.4.6); nothing else is asked of us."""
    if operation.command.field is not CommandField.N_EVENT_REPORT_RQ:
        return Response(Status.UNRECOGNIZED_OPERATION)
    await operation.read_dataset()
    return Response(Status.SUCCESS, event_type_id=operation.command.event_type_id)


class FilmPrinter:
    """Prints pictures on an association.

    Parameters
    ----------
    association : RequestedAssociation
    options : FilmOptions
    warn : callable
        Is given each warning, as a sentence.
    """

    def __init__(
        self,
        association: RequestedAssociation,
        options: FilmOptions,
        warn: Callable[[str], None],
    ) -> None:
        self._association = association
        self._options = options
        self._meta = options.meta_class
        self._warn = warn

    async def print_all(self, pictures: Sequence[ReadPicture]) -> int:
        """Print pictures, each read when its turn comes; return the number of films.

        Raises
        ------
        PrintError
            The printer refused something; what it had accepted before is printed.
        AssociationError
            The association ended.
        """
        await self._check_printer()
        session = await self._create(FILM_SESSION, _to_dataset(self._options.session))
        left, films = list(pictures), 0
        try:
            while left:
                film, boxes = await self._create_film(session)
                for position, box in enumerate(boxes[: len(left)], 1):
                    await self._set_image(box, position, await left[position - 1]())
                left = left[len(boxes) :]
                films += 1
                if not self._options.collate:
                    await self._print(FILM_BOX, film)
                    await self._delete(FILM_BOX, film)
            if self._options.collate:
                await self._print(FILM_SESSION, session)
        except PrintError:
            await self._delete(FILM_SESSION, session)
            raise
        await self._delete(FILM_SESSION, session)
        return films

    async def _check_printer(self) -> None:
        command, answer = await self._association.n_get(
            PRINTER, PRINTER_INSTANCE, negotiated_as=self._meta, as_dataset=True
        )
        self._judge(command, "asking for the printer's status")
        status = str(answer.get("PrinterStatus", "")) if answer else ""
        if status in {"WARNING", "FAILURE"}:
            info = str(answer.get("PrinterStatusInfo", "")) if answer else ""
            if status == "FAILURE":
                raise PrintError(f"the printer does not print: {info}")
            self._warn(f"the printer says {info}")

    async def _create_film(self, session: str) -> tuple[str, list[str]]:
        attributes = _to_dataset({"ImageDisplayFormat": self._options.format} | self._options.film)
        attributes.ReferencedFilmSessionSequence = [reference(FILM_SESSION, session)]
        command, answer = await self._association.n_create(
            FILM_BOX, None, attributes, negotiated_as=self._meta
        )
        self._judge(command, "making a film")
        references = answer.get("ReferencedImageBoxSequence") if answer else None
        if not command.affected_sop_instance_uid or answer is None or not references:
            raise PrintError("the printer does not say which image boxes the film has")
        lines = answer.get("ReferencedBasicAnnotationBoxSequence") or []
        for position, (item, text) in enumerate(
            zip(lines, self._options.annotation, strict=False), 1
        ):
            await self._annotate(str(item.ReferencedSOPInstanceUID), position, text)
        if len(lines) < len(self._options.annotation):
            self._warn(f"the film has room for {len(lines)} lines of annotation")
        return command.affected_sop_instance_uid, [
            str(item.ReferencedSOPInstanceUID) for item in references
        ]

    async def _annotate(self, uid: str, position: int, text: str) -> None:
        attributes = _to_dataset({"AnnotationPosition": position, "TextString": text})
        command, _ = await self._association.n_set(ANNOTATION_BOX, uid, attributes)
        self._judge(command, f"line {position} of the annotation")

    async def _set_image(self, uid: str, position: int, picture: Picture) -> None:
        attributes = _to_dataset({"ImageBoxPosition": position} | self._options.image)
        is_color = self._options.is_color
        item = _image_item(picture)
        if is_color:
            attributes.BasicColorImageSequence = [item]
        else:
            attributes.BasicGrayscaleImageSequence = [item]
        sop_class = COLOR_IMAGE_BOX if is_color else GRAYSCALE_IMAGE_BOX
        command, _ = await self._association.n_set(
            sop_class, uid, attributes, negotiated_as=self._meta
        )
        self._judge(command, f"image {position}")

    async def _create(self, sop_class: str, attributes: Dataset) -> str:
        command, _ = await self._association.n_create(
            sop_class, None, attributes, negotiated_as=self._meta
        )
        self._judge(command, "beginning a film session")
        if not command.affected_sop_instance_uid:
            raise PrintError("the printer does not say which film session it has made")
        return command.affected_sop_instance_uid

    async def _print(self, sop_class: str, uid: str) -> None:
        command, _ = await self._association.n_action(
            sop_class, uid, 1, Dataset(), negotiated_as=self._meta
        )
        self._judge(command, "printing")

    async def _delete(self, sop_class: str, uid: str) -> None:
        command, _ = await self._association.n_delete(sop_class, uid, negotiated_as=self._meta)
        if category(command.status or 0) is StatusCategory.FAILURE:
            self._warn(f"tidying up: {_words(command)}")

    def _judge(self, command: Command, what: str) -> None:
        kind = category(command.status or 0)
        if kind is StatusCategory.FAILURE:
            raise PrintError(f"{what}: {_words(command)}")
        if kind is StatusCategory.WARNING:
            self._warn(f"{what}: {_words(command)}")


def _words(command: Command) -> str:
    status = command.status or 0
    meaning = f"{status:04X}H {STATUSES[status]}" if status in STATUSES else describe(status)
    return f"{meaning} ({command.error_comment})" if command.error_comment else meaning


def _to_dataset(values: dict[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _image_item(picture: Picture) -> Dataset:
    """Return the item of the image sequence (PS3.4 Tables H.4-10 and H.4-11)."""
    item = Dataset()
    item.SamplesPerPixel = samples = _NUMBER_OF[picture.mode]
    pixels = picture.pixels
    if samples == 3:
        # Planar Configuration of a Basic Color Image is 1: color-by-plane.
        item.PlanarConfiguration = 1
        pixels = b"".join(pixels[plane::3] for plane in range(3))
    item.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    item.Rows, item.Columns = picture.height, picture.width
    # The printer makes squares of them (PS3.3 C.13.5): what is sent is what the image has.
    ratio = Fraction(picture.pixel_aspect).limit_denominator(1000)
    item.PixelAspectRatio = [ratio.numerator, ratio.denominator]
    item.BitsAllocated = item.BitsStored = 8
    item.HighBit, item.PixelRepresentation = 7, 0
    item.PixelData = pixels + b"\0" * (len(pixels) % 2)
    item["PixelData"].VR = "OB"
    return item
