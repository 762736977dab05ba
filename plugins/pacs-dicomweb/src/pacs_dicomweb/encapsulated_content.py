"""Documents and videos that instances hold, given out as they are (PS3.18 §8.7.4, §10.4.1.1.3).

A range may be asked for: some browsers play no video without, and none can jump within one.

HL7 CDA is text, of which a rendered form is a page or plain text (§8.7.4): it can be had as these,
and as the XML that it is.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
import anyio.to_thread
from pacs_web.api.http import HttpError
from pacs_web.api.media_types import Representation
from pacs_web.api.multipart_writing import OutgoingPart
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.contracts import Archive, InstanceNotFoundError, Outcome
from pacs_core.dataset import tag_of
from pacs_dicomweb.bulk_data import XML, XML_POLICY, length_of, media_type_of, value_of
from pacs_dicomweb.instances import entity_tag, is_unchanged
from pacs_dicomweb.pixel_media_types import VIDEOS
from pacs_dicomweb.ranges import ByteRange, answer_range
from pacs_dicomweb.service import RETRIEVED, DicomWeb
from pacs_dicomweb.shown_frames import Shown
from pacs_dicomweb.video import find_video

Content = Callable[[ByteRange], AsyncIterator[bytes]]

_DOCUMENT: Final = tag_of("EncapsulatedDocument")
_LENGTH: Final = tag_of("EncapsulatedDocumentLength")
_PDF: Final = "application/pdf"
_HTML: Final = "text/html"
_PLAIN: Final = "text/plain"
_CDA: Final = tuple(map(Representation, (_HTML, _PLAIN, XML, "application/xml")))
"""What a document of HL7 CDA can be had as; of text, a page is the default (Table 8.7.4-1)."""

# Viewers of this site show a PDF in a frame. What else may be encapsulated could bring scripts: it
# keeps the policy by which nothing runs, and nobody frames it.
_PDF_POLICY: Final = "default-src 'none'; object-src 'self'; frame-ancestors 'self'"


class EncapsulatedContent:
    """Answers with what an instance holds instead of pictures.

    Parameters
    ----------
    service : DicomWeb
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service
        # A document is in memory as a whole while it is made a page.
        self._reading = anyio.Semaphore(2)

    @staticmethod
    def media_type_of(shown: Shown) -> str:
        """Return the media type of the video or document of an instance; empty if it has none."""
        syntax = shown.instance.transfer_syntax_uid
        video = next((name for name, uids in VIDEOS.items() if syntax in uids), "")
        return video or media_type_of(shown.header, (_DOCUMENT,))

    @classmethod
    def offered(cls, shown: Shown) -> tuple[Representation, ...]:
        """Return what the video or document of an instance can be had as; none if it has none."""
        own = cls.media_type_of(shown)
        if own == XML:
            return _CDA
        return (Representation(own),) if own else ()

    async def answer(
        self, request: Request, archive: Archive, shown: Shown, media_type: str
    ) -> Response:
        """Answer with the document or video, or a range of it.

        Raises
        ------
        InstanceNotFoundError
            It says that it has a document, and has none.
        """
        instance = shown.instance
        tag = entity_tag([instance], media_type)
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        if media_type in {_HTML, _PLAIN}:
            text = await self._write_text(archive, shown, media_type)
            await self._record(request, shown)
            from pacs_dicomweb.cda import POLICY

            headers = {"Content-Security-Policy": POLICY, **({"ETag": tag} if tag else {})}
            return Response(text, headers=headers, media_type=media_type)
        length, content = await self._find(archive, shown, media_type)
        await self._record(request, shown)
        headers = {"Content-Type": media_type}
        headers |= {"ETag": tag} if tag else {}
        if media_type == _PDF:
            headers["Content-Security-Policy"] = _PDF_POLICY
        elif media_type.endswith("/xml"):
            headers["Content-Security-Policy"] = XML_POLICY
        whole = ByteRange(0, length)
        return answer_range(request, length, headers, lambda wanted: content(wanted or whole))

    async def part(
        self, archive: Archive, shown: Shown, media_type: str, location: str
    ) -> OutgoingPart:
        """Return the document or video as a part of a response; raises as :meth:`answer`."""
        if media_type in {_HTML, _PLAIN}:
            text = await self._write_text(archive, shown, media_type)
            return OutgoingPart(f"{media_type}; charset=utf-8", text, location)
        length, content = await self._find(archive, shown, media_type)
        return OutgoingPart(media_type, content(ByteRange(0, length)), location, length)

    async def _find(self, archive: Archive, shown: Shown, media_type: str) -> tuple[int, Content]:
        if media_type in VIDEOS:
            video = await find_video(archive, shown.instance, shown.header)
            return video.length, video.read
        return self._document(archive, shown)

    async def _write_text(self, archive: Archive, shown: Shown, media_type: str) -> bytes:
        """Return an HL7 CDA document as a page or as text."""
        # Few archives have any: what reads XML is not in memory before.
        from pacs_dicomweb.cda import DocumentError, read_document, write_page, write_text
        from pacs_dicomweb.cda.document import MOST_BYTES

        length, content = self._document(archive, shown)
        if length > MOST_BYTES:
            raise HttpError(406, f"a document of {length} bytes is not shown; there is {XML}")
        write = write_page if media_type == _HTML else write_text
        async with self._reading:
            read = b"".join([bytes(piece) async for piece in content(ByteRange(0, length))])
            try:
                text = await anyio.to_thread.run_sync(lambda: write(read_document(read)))
            except DocumentError as error:
                raise HttpError(406, f"{error}; there is {XML}") from error
        return text.encode()

    async def _record(self, request: Request, shown: Shown) -> None:
        studies = (shown.instance.identity.study_instance_uid,)
        details = {"rendered": True, "instances": 1}
        await self._service.record(request, RETRIEVED, Outcome.SUCCESS, details, studies)

    @staticmethod
    def _document(archive: Archive, shown: Shown) -> tuple[int, Content]:
        element = shown.header.elements.elements.get(_DOCUMENT)
        if element is None:
            raise InstanceNotFoundError("the instance has no Encapsulated Document")
        length = length_of(element)
        said = "".join(shown.header.elements.texts(_LENGTH)[:1]).strip()
        if said == str(length - 1):
            length -= 1  # what follows pads it to an even length (PS3.3 Table C.24-2)
        return length, lambda wanted: value_of(archive, shown.instance, element, wanted)
