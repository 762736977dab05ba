"""The table ``[plugin.sop-print]``."""

from pathlib import Path
from typing import Final, Literal

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, gt, in_, instance_of, le, matches_re, min_len

FILM_SIZE: Final = r"A[34]|\d+(_\d+)?(IN|CM)X\d+(_\d+)?(IN|CM)"
"""Film Size IDs that can be understood (PS3.3 C.13.3)."""

_POSITIVE = ge(1)


@frozen
class PrintConfig:
    """``[plugin.sop-print]``: what the printer is, what it prints to, and how much it takes.

    Attributes
    ----------
    name : str
        Printer Name (2110,0030).
    folder : Path or None
        Where films are put, in a folder for each print job; by default ``films`` in the plugin's
        own directory.
    formats : tuple of str
        ``png`` and ``pdf``: one file of each for each film.
    printer : str
        Name of a CUPS printer that films go to as well.
    lp : tuple of str
        The program that prints, and its own arguments.
    store : bool
        Whether films are stored in the archive as well, as Secondary Capture.
    film_sizes : tuple of str
        Film Size ID (2010,0050) that are supported, the default first: two numbers with ``IN`` or
        ``CM``, as in ``8_5INX11IN``; or ``A3``, ``A4``.
    resolution, high_resolution : int
        Pixels per inch for the Requested Resolution ID STANDARD, which is the default, and HIGH.
    min_density, max_density : int
        What the printer can do, in hundredths of optical density.
    margin, gap : float
        Millimetres around all images of a film, and between them.
    font : Path or None
        A TrueType or OpenType font for annotation, if there are to be other characters than Latin
        ones.
    behaviour : str
        Requested Decimate/Crop Behavior (2020,0040) where magnification is NONE, or an image size
        is requested, and the requestor does not say it.
    max_films, max_boxes : int
        Film boxes of a film session, image boxes of a film box.
    max_copies : int
        Number of Copies (2000,0010).
    max_image, max_session : int
        Bytes of an image, and of all images of an association.
    max_jobs : int
        Print jobs that wait: with more the queue is full.
    keep : float
        Days after which a print job that ended is forgotten.
    memory : int
        Bytes of address space of the process that draws a film, with the libraries in it.
    timeout : float
        Seconds for a film to be drawn, and for ``lp`` to take it.
    """

    name: str = field(default="pacs-core", validator=matches_re(r"[ -\[\]-~]{1,64}"))
    folder: Path | None = None
    formats: tuple[Literal["png", "pdf"], ...] = field(default=("png", "pdf"))
    printer: str = field(default="", validator=matches_re(r"([A-Za-z0-9_][A-Za-z0-9_.@-]*)?"))
    lp: tuple[str, ...] = field(
        default=("lp",), validator=[min_len(1), deep_iterable(instance_of(str))]
    )
    store: bool = False
    film_sizes: tuple[str, ...] = field(
        default=(
            "14INX17IN", "8INX10IN", "8_5INX11IN", "10INX12IN", "10INX14IN", "11INX14IN",
            "11INX17IN", "14INX14IN", "24CMX24CM", "24CMX30CM", "A4", "A3",
        ),
        validator=[min_len(1), deep_iterable(matches_re(FILM_SIZE))],
    )  # fmt: skip
    resolution: int = field(default=300, validator=[ge(25), le(1200)])
    high_resolution: int = field(default=450, validator=[ge(25), le(1200)])
    min_density: int = field(default=20, validator=[ge(0), le(1000)])
    max_density: int = field(default=310, validator=[ge(1), le(1000)])
    margin: float = field(default=5.0, validator=[ge(0), le(50)])
    gap: float = field(default=2.0, validator=[ge(0), le(50)])
    font: Path | None = None
    behaviour: str = field(default="DECIMATE", validator=in_(("DECIMATE", "CROP", "FAIL")))
    max_films: int = field(default=100, validator=_POSITIVE)
    max_boxes: int = field(default=100, validator=_POSITIVE)
    max_copies: int = field(default=20, validator=_POSITIVE)
    max_image: int = field(default=64 << 20, validator=_POSITIVE)
    max_session: int = field(default=2 << 30, validator=_POSITIVE)
    max_jobs: int = field(default=100, validator=_POSITIVE)
    keep: float = field(default=7.0, validator=ge(0))
    memory: int = field(default=4 << 30, validator=ge(256 << 20))
    timeout: float = field(default=120.0, validator=gt(0))
