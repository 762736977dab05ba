"""``pacs print``."""

from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Final, Literal

import anyio
from cyclopts import Parameter
from PIL import Image

from pacs_core.api.commands import (
    Assembly,
    CommandError,
    ConfigOption,
    UsageError,
    assemble_for_command,
    complain,
    local_origin,
    open_archive,
    parse_peer,
    read_frame,
    say,
)
from pacs_core.api.images import pixel_aspect
from pacs_core.contracts import (
    AssociationError,
    Frame,
    Renderer,
    RenderingError,
    RenderingOptions,
    TranscodingError,
)
from pacs_core.dataset import Attributes, read_elements
from pacs_sop_print.exporting import exported
from pacs_sop_print.layout import LayoutError, count_boxes
from pacs_sop_print.scu import FilmOptions, FilmPrinter, Picture, PrintError, acknowledge

_NATIVE: Final = "1.2.840.10008.1.2.1"
_FUNCTION: Final = "LINEAR"


def print_files(
    peer: str,
    /,
    *files: Path,
    display_format: Annotated[str, Parameter(name="--format")] = "STANDARD\\1,1",
    size: str = "",
    landscape: Annotated[bool, Parameter(negative=())] = False,
    color: Annotated[bool, Parameter(negative=())] = False,
    window: str = "",
    copies: int = 1,
    priority: Literal["HIGH", "MED", "LOW"] = "MED",
    medium: str = "",
    destination: str = "",
    label: str = "",
    magnification: Literal["", "REPLICATE", "BILINEAR", "CUBIC", "NONE"] = "",
    reverse: Annotated[bool, Parameter(negative=())] = False,
    border: str = "",
    trim: Annotated[bool, Parameter(negative=())] = False,
    annotation: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    annotation_format: str = "",
    collate: Annotated[bool, Parameter(negative=())] = False,
    config: ConfigOption = None,
) -> None:
    r"""Print images on the films of a DICOM printer (PS3.4 Annex H).

    Images fill the boxes of a film in the order of the files, and as many films as are needed. They
    are shown as ``pacs extract`` shows them.

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    files
        DICOM images; of one with several frames the first.
    display_format
        Image Display Format: STANDARD\COLUMNS,ROWS; ROW\1,2; COL\1,2; or what the printer has.
    size
        Film Size ID, such as 14INX17IN; else the printer's own.
    landscape
        Film Orientation LANDSCAPE.
    color
        Print in colour, on a colour printer.
    window
        CENTRE,WIDTH; else the image's own.
    copies
        How many of each film.
    priority
        HIGH, MED or LOW.
    medium
        Medium Type, such as PAPER, CLEAR FILM, BLUE FILM.
    destination
        Film Destination, such as MAGAZINE or PROCESSOR.
    label
        Film Session Label.
    magnification
        Magnification Type.
    reverse
        Polarity REVERSE.
    border
        Border Density: BLACK, WHITE, or hundredths of optical density.
    trim
        A line around each image.
    annotation
        A line of annotation; may be given several times.
    annotation_format
        Annotation Display Format ID: what the printer calls its places for annotation.
    collate
        Print the films together, as one print job.
    config
        Config file; else $PACS_CONFIG, else pacs.toml if there is one.
    """
    if not files:
        raise UsageError("which files?")
    if annotation and not annotation_format:
        raise UsageError("say with --annotation-format what the printer calls its annotation")
    with suppress(LayoutError):  # the printer may have layouts of its own
        if count_boxes(display_format, size or "14INX17IN", landscape=landscape) > 1000:
            raise UsageError(f"{display_format} has more than 1000 boxes")
    film = {
        "FilmOrientation": "LANDSCAPE" if landscape else "PORTRAIT",
        "FilmSizeID": size,
        "MagnificationType": magnification,
        "BorderDensity": border,
        "Trim": "YES" if trim else "",
        "AnnotationDisplayFormatID": annotation_format,
    }
    session = {
        "NumberOfCopies": copies,
        "PrintPriority": priority,
        "MediumType": medium,
        "FilmDestination": destination,
        "FilmSessionLabel": label,
    }
    options = FilmOptions(
        display_format,
        color,
        {keyword: value for keyword, value in session.items() if value},
        {keyword: value for keyword, value in film.items() if value},
        {"Polarity": "REVERSE"} if reverse else {},
        annotation,
        collate,
    )
    anyio.run(_run, assemble_for_command(config), peer, files, options, _window(window))


def _window(text: str) -> tuple[float, float, str] | None:
    if not text:
        return None
    try:
        centre, width = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--window is CENTRE,WIDTH, not {text}") from error
    if width < 1:
        raise UsageError("the width of --window is at least 1")
    return centre, width, _FUNCTION


async def _run(
    assembly: Assembly,
    peer_text: str,
    files: tuple[Path, ...],
    options: FilmOptions,
    window: tuple[float, float, str] | None,
) -> None:
    async with open_archive(assembly, requires=(Renderer,)) as opened:
        node = opened.node
        peer = parse_peer(peer_text, node.settings.peers)
        renderer = node.find(Renderer)
        shown: list[Attributes] = []
        pictures = [
            partial(_read, assembly, renderer, file, window, shown, is_color=options.is_color)
            for file in files
        ]
        reason = "interrupted"
        try:
            async with node.connect(peer, options.proposals, serve=acknowledge) as association:
                printer = FilmPrinter(association, options, complain)
                films = await printer.print_all(pictures)
            reason = ""
        except (AssociationError, PrintError) as error:
            reason = str(error)
            raise CommandError(f"{peer}: {error}") from error
        except CommandError as error:
            reason = str(error)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                event = exported(local_origin("pacs print"), peer, shown, reason)
                await node.audit.record(event)
    say(f"{peer}: {len(files)} images on {films} films")


async def _read(
    assembly: Assembly,
    renderer: Renderer,
    file: Path,
    window: tuple[float, float, str] | None,
    shown: list[Attributes],
    *,
    is_color: bool,
) -> Picture:
    try:
        stored = await read_frame(assembly, file)
        frame = Frame(stored.number, stored.data, _NATIVE, stored.format)
        content = await renderer.render(stored.header, [frame], RenderingOptions(window=window))
    except (TranscodingError, RenderingError) as error:
        raise CommandError(f"{file}: {error}") from error
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror or error}") from error
    shown.append(stored.attributes)
    with Image.open(BytesIO(content)) as image:
        picture = image.convert("RGB" if is_color else "L")
        aspect = pixel_aspect(read_elements(stored.header, _NATIVE), stored.number)
        return Picture(picture.width, picture.height, picture.mode, picture.tobytes(), aspect)
