"""Film sessions of an association, and what is in them (PS3.4 H.2): as long as it is open."""

from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
from attrs import define, field

from pacs_core.contracts import AssociationInfo, Link
from pacs_core.dimse import DimseError, Status
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.films import Film, FilmImage, PresentationLut, PrintedImage
from pacs_sop_print.sop_classes import (
    ANNOTATION_BOX,
    FILM_BOX,
    FILM_SESSION,
    PRESENTATION_LUT,
)

T = TypeVar("T")

MAX_LUTS: Final = 100
"""Presentation LUTs of an association."""


@define(eq=False)
class LutInstance:
    """A Presentation LUT, as an instance."""

    uid: str
    lut: PresentationLut
    sop_class: str = PRESENTATION_LUT


@define(eq=False)
class AnnotationBox:
    """A Basic Annotation Box."""

    uid: str
    position: int
    text: str = ""
    sop_class: str = ANNOTATION_BOX


@define(eq=False)
class ImageBox:
    """A Basic Grayscale or Color Image Box."""

    uid: str
    position: int
    sop_class: str
    values: dict[str, Any] = field(factory=dict)
    image: PrintedImage | None = None
    lut: PresentationLut | None = None

    def to_film_image(self, film: "FilmBox", config: PrintConfig) -> FilmImage | None:
        """Return what is printed of it; None if it has no image."""
        if self.image is None:
            return None
        own, common = self.values, film.values
        lowest, highest = own.get("MinDensity"), own.get("MaxDensity")
        return FilmImage(
            self.position,
            self.image,
            reverse=own.get("Polarity") == "REVERSE",
            magnification=own.get("MagnificationType") or common["MagnificationType"],
            behaviour=own.get("RequestedDecimateCropBehavior") or "",
            width=own.get("RequestedImageSize") or 0.0,
            min_density=common["MinDensity"] if lowest is None else lowest,
            max_density=common["MaxDensity"] if highest is None else highest,
            lut=self.lut or film.lut or PresentationLut(),
        )


@define(eq=False)
class FilmBox:
    """A Basic Film Box with its image boxes and annotation boxes."""

    uid: str
    session: "FilmSession"
    values: dict[str, Any]
    is_color: bool
    lut: PresentationLut | None = None
    boxes: list[ImageBox] = field(factory=list)
    annotations: list[AnnotationBox] = field(factory=list)
    sop_class: str = FILM_BOX

    def to_film(self, config: PrintConfig) -> Film:
        """Return what is printed of it."""
        values = self.values
        images = (box.to_film_image(self, config) for box in self.boxes)
        return Film(
            values["ImageDisplayFormat"],
            values["FilmSizeID"],
            values["FilmOrientation"] == "LANDSCAPE",
            values["Trim"] == "YES",
            values["RequestedResolutionID"] == "HIGH",
            self.is_color,
            values["BorderDensity"],
            values["EmptyImageDensity"],
            values["MinDensity"],
            values["MaxDensity"],
            values["Illumination"],
            values["ReflectedAmbientLight"],
            tuple(image for image in images if image is not None),
            tuple(annotation.text for annotation in self.annotations),
        )


@define(eq=False)
class FilmSession:
    """A Basic Film Session."""

    uid: str
    context: str
    values: dict[str, Any]
    films: list[FilmBox] = field(factory=list)
    sop_class: str = FILM_SESSION


Instance = FilmSession | FilmBox | ImageBox | AnnotationBox | LutInstance


@define(eq=False)
class Printing:
    """All that an association has made.

    Attributes
    ----------
    association : AssociationInfo
    link : Link
        For events.
    lock : Lock
        Requests are carried out one after the other, in the order in which they came.
    folder : Path or None
        Of its images.
    jobs : dict of str to str
        Print jobs that it began, with the state that it was told last.
    trouble : bool or None
        Whether it was told last that the printer is in trouble.
    """

    association: AssociationInfo
    link: Link
    lock: anyio.Lock = field(factory=anyio.Lock)
    instances: dict[str, Instance] = field(factory=dict)
    folder: Path | None = None
    size: int = 0
    jobs: dict[str, str] = field(factory=dict)
    trouble: bool | None = None

    def find(self, uid: str | None, sop_class: str) -> Any:
        """Return an instance.

        Raises
        ------
        DimseError
            0112H: there is none. 0119H: it is of another SOP class.
        """
        found = self.instances.get(uid or "")
        if found is None:
            raise DimseError(Status.NO_SUCH_SOP_INSTANCE, f"There is no {str(uid)[:64]}")
        if found.sop_class != sop_class:
            raise DimseError(Status.CLASS_INSTANCE_CONFLICT, f"It is of {found.sop_class}")
        return found

    def of_class(self, kind: type[T]) -> list[T]:
        """Return all instances of a kind."""
        return [each for each in self.instances.values() if isinstance(each, kind)]

    def remove(self, instance: Instance) -> list[str]:
        """Take an instance and all below it away (PS3.4 H.4.1.2.3); return files to be removed."""
        files: list[str] = []
        if isinstance(instance, FilmSession):
            for film in list(instance.films):
                files += self.remove(film)
        elif isinstance(instance, FilmBox):
            instance.session.films.remove(instance)
            for box in instance.boxes:
                files += self.drop_image(box)
                del self.instances[box.uid]
            for annotation in instance.annotations:
                del self.instances[annotation.uid]
        del self.instances[instance.uid]
        return files

    def drop_image(self, box: ImageBox) -> list[str]:
        """Empty an image box; return the file to be removed."""
        image, box.image = box.image, None
        if image is None:
            return []
        self.size -= image.size
        return [image.file]
