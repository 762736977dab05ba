"""Films as they are printed: what a film session, its film boxes and image boxes come to.

Plain values, without anything of DICOM's encoding: they go from the service provider through a file
to the process that draws.
"""

from typing import Any

from attrs import frozen


@frozen
class PrintedImage:
    """An image of an image box, whose pixels are in a file of their own.

    Attributes
    ----------
    file : str
        Name, in the folder of the job. Has unsigned 8 or 16 bit little endian values, or triplets
        of red, green and blue, row by row.
    rows, columns, samples, bits : int
        `bits` are Bits Stored.
    inverted : bool
        Whether the lowest value is white: MONOCHROME1.
    aspect : float
        Height of a pixel in widths: Pixel Aspect Ratio (0028,0034).
    """

    file: str
    rows: int
    columns: int
    samples: int
    bits: int
    inverted: bool = False
    aspect: float = 1.0

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.rows * self.columns * self.samples * (1 if self.bits <= 8 else 2)


@frozen
class PresentationLut:
    """Input to P-Values (PS3.3 C.11.4): a shape, or a table.

    Attributes
    ----------
    shape : str
        ``IDENTITY`` or ``LIN OD``; empty with a table.
    table : tuple of int
    bits : int
        Of the values of the table.
    """

    shape: str = "IDENTITY"
    table: tuple[int, ...] = ()
    bits: int = 8


@frozen
class FilmImage:
    """An image box with its image (PS3.3 C.13.5).

    Attributes
    ----------
    position : int
        Image Box Position, from 1.
    image : PrintedImage
    reverse : bool
        Polarity.
    magnification, behaviour : str
        ``behaviour`` is empty if the requestor does not say it.
    width : float
        Requested Image Size in mm; 0 for none.
    min_density, max_density : int
    lut : PresentationLut
    """

    position: int
    image: PrintedImage
    reverse: bool = False
    magnification: str = "CUBIC"
    behaviour: str = ""
    width: float = 0.0
    min_density: int = 20
    max_density: int = 310
    lut: PresentationLut = PresentationLut()


@frozen
class Film:
    """A film box (PS3.3 C.13.3).

    Attributes
    ----------
    format : str
        Image Display Format.
    size : str
        Film Size ID.
    landscape, trim, high_resolution, is_color : bool
    border, empty : str
        Density: ``BLACK``, ``WHITE``, or a number in hundredths.
    min_density, max_density, illumination, ambient : int
        Of density, illumination and reflected ambient light.
    images : tuple of FilmImage
    annotations : tuple of str
        Of each annotation box, by position.
    """

    format: str
    size: str
    landscape: bool = False
    trim: bool = False
    high_resolution: bool = False
    is_color: bool = False
    border: str = "BLACK"
    empty: str = "BLACK"
    min_density: int = 20
    max_density: int = 310
    illumination: int = 2000
    ambient: int = 10
    images: tuple[FilmImage, ...] = ()
    annotations: tuple[str, ...] = ()


@frozen
class PrintJob:
    """Films that were accepted together, in the order in which they are printed.

    Attributes
    ----------
    uid : str
        SOP Instance UID of the Print Job.
    films : tuple of Film
    copies : int
    priority, medium, destination, label, owner : str
        Of the film session.
    originator : str
        AE title.
    created : str
        ``YYYYMMDDHHMMSS``, local time.
    """

    uid: str
    films: tuple[Film, ...]
    copies: int = 1
    priority: str = "MED"
    medium: str = ""
    destination: str = ""
    label: str = ""
    owner: str = ""
    originator: str = ""
    created: str = ""


def to_plain(job: PrintJob) -> Any:
    """Return what JSON can carry."""
    from cattrs.preconf.json import make_converter

    return make_converter().unstructure(job)


def from_plain(content: Any) -> PrintJob:
    """Return the job that :func:`to_plain` was given."""
    from cattrs.preconf.json import make_converter

    return make_converter().structure(content, PrintJob)
