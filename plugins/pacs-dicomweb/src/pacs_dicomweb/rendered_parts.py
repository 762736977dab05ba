"""Rendered studies and series: a part for each instance (PS3.18 §10.4.1.1.3, §8.7.4).

How it works: what an instance can be had as is a matter of its resource category (Table 8.7.2-1):
an image, text, a video, or else. A study may have all of them, and a request may accept a form of
each; so the Accept header is held against the forms of each instance by itself. One of which no
form is accepted, or that has none, is left out. Only if that is all of them it is an error: that
of the first.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from attrs import evolve
from pacs_web.api.http import HttpError
from pacs_web.api.media_types import MULTIPART, Representation, accepted_types
from pacs_web.api.multipart_writing import OutgoingPart
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.sr import is_sr_class
from pacs_core.api.streams import prepend
from pacs_core.contracts import Archive, FrameNotFoundError, InstanceNotFoundError, StoredInstance
from pacs_dicomweb.instances import instances_of
from pacs_dicomweb.presentation_states import STATES
from pacs_dicomweb.rendered import JPEG, NOT_SHOWN, SEVERAL, Rendering, respond_in_parts
from pacs_dicomweb.reports import OFFERED as REPORT_FORMS
from pacs_dicomweb.search_parameters import accept_of, first_values
from pacs_dicomweb.service import DicomWeb, accept, parameters_of, resource_of

_LEFT_OUT: Final[tuple[type[Exception], ...]] = (*NOT_SHOWN, InstanceNotFoundError, HttpError)
_PARTS: Final = frozenset({"*/*", "multipart/*", MULTIPART})


class RenderedParts:
    """Answers for all instances of a study or series.

    Parameters
    ----------
    service : DicomWeb
    pictures : Rendering
    """

    def __init__(self, service: DicomWeb, pictures: Rendering) -> None:
        self._service, self._pictures = service, pictures

    async def retrieve(self, request: Request) -> Response:
        """Answer GET; of an image with several frames, the first."""
        parameters, archive = parameters_of(request), self._service.archive(request)
        named = first_values(parameters)
        self._pictures.options(named, JPEG.name)  # what makes no sense is 400, whatever there is
        instances = await instances_of(archive, resource_of(request))
        if len(instances) == 1 and not _accepts_parts(request, parameters):
            return await self._pictures.answer(request, archive, instances[0])
        parts = self._parts(request, archive, instances, named)
        try:
            # Before anything is sent, so that what is wrong with all of them has a status.
            first = await anext(parts)
        except StopAsyncIteration:
            raise InstanceNotFoundError("there is nothing that could be rendered") from None
        await self._pictures.record(request, instances)
        media_type = first.content_type.partition(";")[0]
        return respond_in_parts(
            Representation(media_type, is_multipart=True), prepend(first, parts)
        )

    async def _parts(
        self,
        request: Request,
        archive: Archive,
        instances: list[StoredInstance],
        named: Mapping[str, str],
    ) -> AsyncIterator[OutgoingPart]:
        reason: Exception | None = None
        is_empty = True
        for instance in instances:
            try:
                part = await self._part(request, archive, instance, named)
            except _LEFT_OUT as error:
                reason = reason or error
                continue
            is_empty = False
            yield part
        if is_empty and reason is not None:
            raise reason

    async def _part(
        self,
        request: Request,
        archive: Archive,
        instance: StoredInstance,
        named: Mapping[str, str],
    ) -> OutgoingPart:
        """Return the part of an instance in the form that is accepted best."""
        pictures, sop_class = self._pictures, instance.identity.sop_class_uid
        location = f"{pictures.url(request, instance)}/rendered"
        if sop_class in STATES:
            raise FrameNotFoundError(1, 0)  # the images that it presents are parts
        if is_sr_class(sop_class):
            name = _choose(request, REPORT_FORMS)
            return await pictures.reports.part(request, archive, instance, name, location)
        shown = await pictures.look_at(archive, instance)
        if offered := pictures.encapsulated.offered(shown):
            name = _choose(request, offered)
            return await pictures.encapsulated.part(archive, shown, name, location)
        if not shown.pixels or shown.header.pixel_data is None:
            raise FrameNotFoundError(1, 0)
        options = pictures.options(named, _choose(request, SEVERAL))
        content = await pictures.show(archive, shown, (1,), options)
        return OutgoingPart(options.media_type, content, location)


def _choose(request: Request, offered: tuple[Representation, ...]) -> str:
    """Return the media type of a part; HttpError 406 if none of those offered is accepted."""
    in_parts = [evolve(each, is_multipart=True) for each in offered]
    return accept(request, parameters_of(request), in_parts)[0].representation.name


def _accepts_parts(request: Request, parameters: list[tuple[str, str]]) -> bool:
    header = ", ".join(request.headers.getlist("accept"))
    accepted = accepted_types(header, accept_of(parameters))
    return any(each.name in _PARTS and each.quality for each in accepted)
