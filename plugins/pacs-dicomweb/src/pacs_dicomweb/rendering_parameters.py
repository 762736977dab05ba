"""Query parameters that say how images are shown (PS3.18 §8.3.5)."""

import math
import re
from collections.abc import Mapping
from typing import Final

from pacs_core.contracts import RenderingOptions, SourceRegion, Viewport
from pacs_dicomweb.search_parameters import InvalidParameterError

_FUNCTIONS: Final = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE: Final = re.compile(r"\d{1,9}", re.ASCII)
PROFILES: Final = ("", "no", "yes", "srgb")
ANNOTATIONS: Final = frozenset({"patient", "technique"})
THUMBNAIL: Final = Viewport(128, 128)


def read_rendering(
    parameters: Mapping[str, str],
    media_type: str,
    most: int,
    viewport: Viewport | None = None,
) -> RenderingOptions:
    """Return how images are to be shown.

    Parameters
    ----------
    parameters : mapping of str to str
    media_type : str
        Of the picture.
    most : int
        Pixels that it may have.
    viewport : Viewport, optional
        What counts where the request has none.

    Raises
    ------
    InvalidParameterError
        One of them makes no sense.
    """
    given = parameters.get("viewport", "").strip()
    return RenderingOptions(
        media_type,
        _window(parameters.get("window", "").strip()),
        read_viewport(given, most) if given else viewport,
        _quality(parameters.get("quality", "").strip()),
        icc_profile=_profile(parameters.get("iccprofile", "").strip().lower()),
    )


def read_annotations(parameters: Mapping[str, str]) -> frozenset[str]:
    """Return what is to be written into images (§8.3.5.1.1); what is unknown is left out."""
    named = {each.strip().lower() for each in parameters.get("annotation", "").split(",")}
    return frozenset(named & ANNOTATIONS)


def wants_subtraction(parameters: Mapping[str, str]) -> bool:
    """Tell whether the masks of an image are to be subtracted (PS3.3 C.7.6.10).

    The parameter `viewingmode` is an extension, with the terms of Recommended Viewing Mode: what an
    image recommends is not done unless somebody asks for it.

    Raises
    ------
    InvalidParameterError
        It is neither ``SUB`` nor ``NAT``.
    """
    mode = parameters.get("viewingmode", "").strip().upper()
    if mode not in {"", "NAT", "SUB"}:
        raise InvalidParameterError("viewingmode is SUB, with masks subtracted, or NAT, without")
    return mode == "SUB"


def _window(text: str) -> tuple[float, float, str] | None:
    """Read ``window=centre,width,function`` (§8.3.5.1.4)."""
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in {2, 3}:
        raise InvalidParameterError("window is centre,width,function, as in 40,400,linear")
    function = _FUNCTIONS.get((parts[2] if len(parts) == 3 else "linear").lower())
    if function is None:
        raise InvalidParameterError(f"window: the function is one of {', '.join(_FUNCTIONS)}")
    return check_window(parts[0], parts[1], function)


def check_window(centre: str, width: str, function: str = "LINEAR") -> tuple[float, float, str]:
    """Return a window (PS3.3 C.11.2.1.2, C.11.2.1.3).

    Raises
    ------
    InvalidParameterError
        It is none.
    """
    wide = read_number("window width", width)
    least = 1.0 if function == "LINEAR" else 0.0
    if wide < least or wide == 0:
        raise InvalidParameterError(f"a {function} window cannot be {wide:g} wide")
    return read_number("window center", centre), wide, function


def read_viewport(text: str, most: int) -> Viewport:
    """Read ``viewport=vw,vh[,sx,sy,sw,sh]`` (§8.3.5.1.3); what is left empty has its default.

    Raises
    ------
    InvalidParameterError
        It is none, or has more than `most` pixels.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in {2, 6}:
        raise InvalidParameterError("viewport is width,height or width,height,x,y,width,height")
    if not all(map(_WHOLE.fullmatch, parts[:2])):
        raise InvalidParameterError("viewport: width and height are whole numbers from 1")
    width, height = map(int, parts[:2])
    if not width or not height:
        raise InvalidParameterError("viewport: width and height are at least 1")
    if width * height > most:
        raise InvalidParameterError(f"viewport: {width}×{height} is more than {most} pixels")
    if len(parts) == 2 or not any(parts[2:]):
        return Viewport(width, height)
    x, y = (read_number("viewport", part) if part else 0.0 for part in parts[2:4])
    # Without a size, the region goes to the end of the image, where it is cut.
    across, down = (read_number("viewport", part) if part else 1e6 for part in parts[4:])
    if x < 0 or y < 0 or not across or not down or max(x, y, abs(across), abs(down)) > 1e6:
        raise InvalidParameterError("viewport: there is no such region")
    return Viewport(width, height, SourceRegion(x, y, across, down))


def _quality(text: str) -> int:
    if not text:
        return 90
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= 100:
        raise InvalidParameterError("quality is a number from 1 to 100")
    return int(text)


def _profile(text: str) -> str:
    """Read ``iccprofile=srgb`` (§8.3.5.1.5)."""
    if text not in PROFILES:
        # Colours that were not converted would be taken for those that were asked for.
        raise InvalidParameterError(f"iccprofile is one of {', '.join(filter(None, PROFILES))}")
    return text or "no"


def read_number(name: str, text: str) -> float:
    """Return a number of reasonable size.

    Raises
    ------
    InvalidParameterError
        It is none.
    """
    number = float(text) if len(text) < 32 and _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number) or abs(number) > 1e9:
        raise InvalidParameterError(f"{name}: {text[:40]!r} is no number that makes sense here")
    return number
