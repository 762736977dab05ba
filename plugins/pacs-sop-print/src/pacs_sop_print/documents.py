"""Pictures of films as PNG and PDF: lossless both, and of the film's own size."""

from typing import BinaryIO, Final

from PIL import Image

_POINTS: Final = 72.0


def write_png(picture: Image.Image, file: BinaryIO) -> None:
    """Write a picture as PNG, which says how large it is."""
    picture.save(file, "PNG", dpi=picture.info["dpi"], compress_level=3)


def write_pdf(picture: Image.Image, file: BinaryIO) -> None:
    """Write a picture as a PDF of one page, with the same pixels."""
    from reportlab.lib.utils import ImageReader  # takes its time to import
    from reportlab.pdfgen.canvas import Canvas

    across, down = picture.info["dpi"]
    size = (picture.width / across * _POINTS, picture.height / down * _POINTS)
    canvas = Canvas(file, pagesize=size, invariant=1)
    canvas.setTitle("Film")
    canvas.drawImage(ImageReader(picture), 0, 0, *size)
    canvas.showPage()
    canvas.save()


WRITERS: Final = {"png": write_png, "pdf": write_pdf}
