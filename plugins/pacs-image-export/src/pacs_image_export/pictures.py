"""Pictures as doors show them: cut out, turned, fitted, written as PNG, JPEG or GIF."""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from attrs import evolve
from PIL import Image, ImageDraw, ImageFont

from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import Frame, RenderingOptions, SourceRegion
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, Attributes, parse_attributes
from pacs_image_export.errors import RenderError
from pacs_image_export.floats import float_values
from pacs_image_export.graphics import Placement, draw
from pacs_image_export.icc import apply_profile
from pacs_image_export.render import RenderOptions, render
from pacs_image_export.samples import cells_of
from pacs_image_export.subtraction import Derived, derive
from pacs_image_export.windows import Window

MAX_HEADER = 64 << 20
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif"}
_MOST_GROWN = 1 << 24  # pixels of a picture that is larger than its image
_SIDEWAYS = frozenset({90, 270})
_LINE = 14  # pixels of a line of annotation


def make_picture(header: bytes, frames: Sequence[Frame], options: RenderingOptions) -> bytes:
    """Return the picture of frames, see :meth:`pacs_core.contracts.Renderer.render`.

    Raises
    ------
    RenderError
        They cannot be shown so.
    """
    if options.media_type not in _FORMATS:
        raise RenderError(f"there are no pictures of type {options.media_type}")
    pictures = len(options.subtractions or frames)
    if not frames or (pictures > 1 and options.media_type != "image/gif"):
        raise RenderError(f"{options.media_type} holds one frame")
    attributes = parse_attributes(header, EXPLICIT_VR_LITTLE_ENDIAN, max_length=MAX_HEADER)
    images, profile = [], b""
    window = Window(*options.window) if options.window else ""
    shown = RenderOptions(window, options.overlays, options.shutters, options.shutter_grey)
    stored_frames = [_store(each, attributes, header) for each in frames]
    are_floats = any(each.is_float for each in frames)
    for stored, derived in _pictures(stored_frames, options, are_floats=are_floats):
        picture = render(stored, shown, derived)
        image = Image.fromarray(np.ascontiguousarray(picture.pixels))
        image, placement = _fit(image, options)
        image, profile = apply_profile(image, header, options.icc_profile)
        images.append(_annotate(draw(image, options.graphics, placement), options.annotations))
    return _write(images, options, profile)


def _store(frame: Frame, attributes: Attributes, header: bytes) -> StoredFrame:
    aligned = _align(frame)
    return StoredFrame(aligned.data, aligned.format, frame.number, attributes, header)


def _pictures(
    frames: Sequence[StoredFrame], options: RenderingOptions, *, are_floats: bool
) -> Iterator[tuple[StoredFrame, Derived | None]]:
    """Iterate over what is shown: frames, or the first ones of subtractions and differences."""
    if are_floats:
        if options.subtractions:
            raise RenderError("masks are not subtracted from floating point pixels")
        yield from ((frame, float_values(frame)) for frame in frames)
        return
    if not options.subtractions:
        yield from ((frame, None) for frame in frames)
        return
    numbered = {frame.number: frame for frame in frames}
    for subtraction in options.subtractions:
        derived = derive(numbered, subtraction) if subtraction.is_derived else None
        yield numbered[subtraction.contrast[0]], derived


def _align(frame: Frame) -> Frame:
    """Return a frame as the renderer has it: by pixel, with all chroma, in the lowest bits."""
    form = frame.format
    if form.photometric_interpretation == "YBR_FULL_422" and len(frame.data) < form.size:
        # Two pixels are Y1, Y2, Cb, Cr (PS3.3 C.7.6.3.1.2).
        pairs = np.frombuffer(frame.data, "u1")
        data = pairs[: pairs.size // 4 * 4].reshape(-1, 4)[:, [0, 2, 3, 1, 2, 3]].tobytes()
        form = evolve(form, photometric_interpretation="YBR_FULL", planar_configuration=0)
        frame = evolve(frame, data=data, format=form)
    if form.planar_configuration == 1 and form.samples_per_pixel == 3:
        planes = np.frombuffer(frame.data, f"V{form.bits_allocated // 8}")
        planes = planes[: 3 * form.rows * form.columns].reshape(3, form.rows, form.columns)
        data = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).tobytes()
        frame = evolve(frame, data=data, format=evolve(form, planar_configuration=0))
    if frame.low_bits and form.bits_allocated > 1:
        cells = cells_of(frame.data, frame.format) >> frame.low_bits
        frame = evolve(frame, data=cells.tobytes(), low_bits=0)
    return frame


def _fit(image: Image.Image, options: RenderingOptions) -> tuple[Image.Image, Placement]:
    """Return the region of an image that is to be shown, turned, and as large as it fits in."""
    viewport, left, top = options.viewport, 0, 0
    if viewport is not None and viewport.region is not None:
        image, left, top = _cut(image, viewport.region)
    width, height = image.size
    if options.rotation in _TURNS:
        image = image.transpose(_TURNS[options.rotation])
    if options.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned = image.size
    size = _size_of(image, options)
    if size != turned:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    scale = size[0] / turned[0], size[1] / turned[1]
    return image, Placement(left, top, width, height, options.rotation, options.flip, scale)


def _size_of(image: Image.Image, options: RenderingOptions) -> tuple[int, int]:
    """Return the size of the picture of an image that was turned, whose pixels may be no squares.

    As large as it fits into the viewport (PS3.18 §8.3.5.1.3). Without one, no pixel is lost: it
    grows in one direction, unless it would become too large.
    """
    aspect = options.pixel_aspect
    if options.rotation in _SIDEWAYS:
        aspect = 1 / aspect
    width, height = float(image.width), image.height * aspect
    viewport = options.viewport
    if viewport is not None and viewport.width and viewport.height:
        scale = min(viewport.width / width, viewport.height / height)
    else:
        scale = max(1.0, 1 / aspect)
        if scale**2 * width * height > max(_MOST_GROWN, image.width * image.height):
            scale = min(1.0, 1 / aspect)
    return max(round(width * scale), 1), max(round(height * scale), 1)


_TURNS = {
    90: Image.Transpose.ROTATE_270,  # those of Pillow are counter-clockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def _cut(image: Image.Image, region: SourceRegion) -> tuple[Image.Image, int, int]:
    left, top = round(region.x), round(region.y)
    right, bottom = left + max(round(abs(region.width)), 1), top + max(round(abs(region.height)), 1)
    box = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise RenderError("the source region is outside the image")
    cut = image.crop(box)
    if region.width < 0:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if region.height < 0:
        cut = cut.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return cut, box[0], box[1]


def _annotate(image: Image.Image, lines: Sequence[str]) -> Image.Image:
    """Return an image with lines of text at its top, white with a black rim."""
    if not lines:
        return image
    white = 255 if image.mode == "L" else (255, 255, 255)
    black = 0 if image.mode == "L" else (0, 0, 0)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_LINE - 2)
    for number, line in enumerate(lines):
        place = (4, 4 + _LINE * number)
        draw.text(place, line, white, font, stroke_width=1, stroke_fill=black)
    return image


def _write(images: list[Image.Image], options: RenderingOptions, profile: bytes) -> bytes:
    out, first = BytesIO(), images[0]
    embedded = {"icc_profile": profile} if profile else {}
    if options.media_type == "image/jpeg":
        first.save(out, "jpeg", quality=options.quality, **embedded)
    elif options.media_type == "image/gif":
        milliseconds = max(round(options.interval * 1000), 20)
        more = {"append_images": images[1:], "save_all": True, "duration": milliseconds, "loop": 0}
        first.save(out, "gif", **more if len(images) > 1 else {})
    else:
        first.save(out, "png", compress_level=1, **embedded)
    return out.getvalue()
