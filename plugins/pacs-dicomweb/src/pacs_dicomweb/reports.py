"""SR documents as pages and as text (PS3.18 §8.7.4, §10.4.1.1.3, §9).

Images that a report refers to are links where they are in the archive, and whoever asks may see
them: to what this service renders of them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
from pacs_web.api.http import HttpError
from pacs_web.api.media_types import Representation
from pacs_web.api.multipart_writing import OutgoingPart
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.sr import (
    POLICY,
    PageOptions,
    Reference,
    SRDocument,
    is_sr_class,
    page_lines,
    read_document,
    text_lines,
)
from pacs_core.api.streams import closing
from pacs_core.api.threads import without_collection
from pacs_core.contracts import Archive, Level, Outcome, Query, StoredInstance, UidList
from pacs_core.dataset import MalformedDataset, ReadLimits
from pacs_dicomweb.instances import entity_tag, is_unchanged
from pacs_dicomweb.search import UIDS
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    accept,
    parameters_of,
    resource_of_instance,
)

HTML: Final = Representation("text/html")
PLAIN: Final = Representation("text/plain")
OFFERED: Final = (HTML, PLAIN)
"""What a report can be had as; of text, a page is the default (Table 8.7.4-1)."""

LIMITS: Final = ReadLimits(value=4 << 20, total=32 << 20, elements=1_000_000)
_MOST_ITEMS: Final = 100_000
"""Content items that are shown; a page says so if there are more."""

_MOST_LINKS: Final = 5_000
_AT_ONCE: Final = 500
_MOST_FRAMES: Final = 10
_DOCUMENTS: Final = "1.2.840.10008.5.1.4.1.1.104."
"""Root of the encapsulated documents (PS3.3 A.45)."""

_PAGE_POLICY: Final = f"{POLICY}; frame-ancestors 'self'; sandbox"


class Reports:
    """Answers with SR documents.

    Parameters
    ----------
    service : DicomWeb
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service
        # A large one takes hundreds of megabytes while it is read and written.
        self._reading = anyio.Semaphore(1)

    async def retrieve(
        self, request: Request, archive: Archive, instance: StoredInstance
    ) -> Response:
        """Answer with the report that an instance is, in a form that is accepted."""
        chosen = accept(request, parameters_of(request), OFFERED)[0].representation
        return await self.answer(request, archive, instance, chosen.name)

    async def answer(
        self, request: Request, archive: Archive, instance: StoredInstance, media_type: str
    ) -> Response:
        """Answer with the report that an instance is.

        Raises
        ------
        HttpError
            406: it cannot be read, or is too large for a page.
        """
        content, tag = await self._write(request, archive, instance, media_type)
        if content is None:
            return Response(status_code=304, headers={"ETag": tag})
        studies = (instance.identity.study_instance_uid,)
        details = {"rendered": True, "instances": 1}
        await self._service.record(request, RETRIEVED, Outcome.SUCCESS, details, studies)
        headers = {"Content-Security-Policy": _PAGE_POLICY, **({"ETag": tag} if tag else {})}
        return Response(content, headers=headers, media_type=media_type)

    async def part(
        self,
        request: Request,
        archive: Archive,
        instance: StoredInstance,
        media_type: str,
        location: str,
    ) -> OutgoingPart:
        """Return the report as a part of a response; raises as :meth:`answer`."""
        content, _ = await self._write(request, archive, instance, media_type, is_part=True)
        return OutgoingPart(f"{media_type}; charset=utf-8", content or b"", location)

    async def _write(
        self,
        request: Request,
        archive: Archive,
        instance: StoredInstance,
        media_type: str,
        *,
        is_part: bool = False,
    ) -> tuple[bytes | None, str]:
        """Return a report and its entity tag; None for what the client has, unless it is a part."""
        is_page = media_type == HTML.name
        async with self._reading:
            with without_collection(instance.size):
                document = await self._read(archive, instance)
                links = await self._links(request, archive, instance, document) if is_page else {}
                tag = entity_tag([instance], media_type, _digest(links))
                if not is_part and is_unchanged(request, tag):
                    return None, tag
                write = partial(_page, document, links) if is_page else partial(_text, document)
                content = await anyio.to_thread.run_sync(write)
                del document, write
        return content, tag

    async def _read(self, archive: Archive, instance: StoredInstance) -> SRDocument:
        try:
            header = await archive.header(instance, LIMITS)
        except MalformedDataset as error:
            raise HttpError(
                406, f"the report cannot be shown: {error}; there is application/dicom"
            ) from error
        read = partial(read_document, header.elements, _MOST_ITEMS)
        document = await anyio.to_thread.run_sync(read)
        if document is None:  # its SOP class is another than the archive has of it
            raise HttpError(406, "the instance is no report; there is application/dicom")
        return document

    async def _links(
        self,
        request: Request,
        archive: Archive,
        instance: StoredInstance,
        document: SRDocument,
    ) -> Mapping[str, str]:
        """Return where what it refers to is rendered, by SOP Instance UID."""
        wanted = list(dict.fromkeys(_rendered(document)))[:_MOST_LINKS]
        own, base = instance.identity.study_instance_uid, self._service.url(request)
        links: dict[str, str] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            uids = UidList(UIDS[Level.IMAGE], tuple(wanted[start : start + _AT_ONCE]))
            async with closing(archive.instances(Query(Level.IMAGE, (uids,)))) as found:
                async for each in found:
                    uid = each.identity.sop_instance_uid
                    if uid not in links or each.identity.study_instance_uid == own:
                        links[uid] = f"{base}{resource_of_instance(each.identity).path}"
        return links


def _rendered(document: SRDocument) -> Iterator[str]:
    """Iterate over what it refers to of which there is a rendered form."""
    for item in document.root.walk():
        for reference in item.references:
            sop_class = reference.sop_class_uid
            if item.value_type == "IMAGE" or (
                item.value_type == "COMPOSITE"
                and (is_sr_class(sop_class) or sop_class.startswith(_DOCUMENTS))
            ):
                yield reference.sop_instance_uid


def _page(document: SRDocument, links: Mapping[str, str]) -> bytes:
    def link(reference: Reference) -> str:
        if not (where := links.get(reference.sop_instance_uid)):
            return ""
        frames = reference.frames
        if 0 < len(frames) <= _MOST_FRAMES and all(map(str.isdigit, frames)):
            where += f"/frames/{','.join(frames)}"
        return f"{where}/rendered"

    return _join(page_lines(document, PageOptions(link=link)))


def _text(document: SRDocument) -> bytes:
    return _join(text_lines(document))


def _join(lines: Iterable[str]) -> bytes:
    return b"".join(f"{line}\n".encode() for line in lines)


def _digest(links: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(sorted(links.values())).encode()).hexdigest()
