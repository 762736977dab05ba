"""ICC profiles of pictures in colour (PS3.18 §8.3.5.1.5, PS3.3 C.11.15).

Profiles come from outside: who reads them here, and converts by them, is Little CMS, in the process
that makes pictures, which may open nothing.
"""

from io import BytesIO
from typing import Final

from PIL import Image

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    ElementSet,
    ReadLimits,
    read_elements,
    tag_of,
)
from pacs_image_export.errors import RenderError

_LIMITS: Final = ReadLimits(bulk=1 << 20, value=1 << 20)


def apply_profile(image: Image.Image, header: bytes, wanted: str) -> tuple[Image.Image, bytes]:
    """Return a picture in the colours that are wanted, and the profile to embed, or none.

    Parameters
    ----------
    image : Image
    header : bytes
        Of the dataset, in Explicit VR Little Endian.
    wanted : str
        See :attr:`RenderingOptions.icc_profile`.

    Raises
    ------
    RenderError
        The profile of the image cannot be used.
    """
    if wanted == "no" or image.mode != "RGB":
        return image, b""
    from PIL import ImageCms  # few pictures need it

    own = _profile_of(read_elements(header, EXPLICIT_VR_LITTLE_ENDIAN, _LIMITS))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    if not own:
        return image, srgb.tobytes()  # what says nothing of its colours is shown as if in sRGB
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(own))
        # Also what is not converted is tried: a picture with a broken profile is shown by nobody.
        converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        raise RenderError(f"its ICC Profile cannot be used: {error}") from error
    if wanted == "yes" or converted is None:
        return image, own
    return converted, srgb.tobytes()


def _profile_of(elements: ElementSet) -> bytes:
    """Return the ICC Profile of an image, or of its first optical path (C.8.12.5); empty if none.

    What pads it to an even length is left out: a profile begins with its length.
    """
    for each in (elements, *elements.items(tag_of("OpticalPathSequence"))[:1]):
        element = each.elements.get(tag_of("ICCProfile"))
        if element is not None and isinstance(element.value, bytes) and element.value:
            return element.value[: int.from_bytes(element.value[:4], "big")]
    return b""
