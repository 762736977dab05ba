"""Documents and videos that instances hold, given out as they are (PS3.18 §8.7.4, §10.4.1.1.3).

A range may be asked for: some browsers play no video without, and none can jump within one.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pacs_core.contracts import Archive, InstanceNotFoundError, Outcome
from pacs_core.dataset import tag_of
from pacs_dicomweb.bulk_data import length_of, media_type_of, value_of
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

    @staticmethod
    def media_type_of(shown: Shown) -> str:
        """Return the media type of the video or document of an instance; empty if it has none."""
        syntax = shown.instance.transfer_syntax_uid
        video = next((name for name, uids in VIDEOS.items() if syntax in uids), "")
        return video or media_type_of(shown.header, (_DOCUMENT,))

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
        content: Content
        if media_type in VIDEOS:
            video = await find_video(archive, instance, shown.header)
            length, content = video.length, video.read
        else:
            length, content = self._document(archive, shown)
        studies = (instance.identity.study_instance_uid,)
        details = {"rendered": True, "instances": 1}
        await self._service.record(request, RETRIEVED, Outcome.SUCCESS, details, studies)
        headers = {"Content-Type": media_type}
        headers |= {"ETag": tag} if tag else {}
        if media_type == _PDF:
            headers["Content-Security-Policy"] = _PDF_POLICY
        whole = ByteRange(0, length)
        return answer_range(request, length, headers, lambda wanted: content(wanted or whole))

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
