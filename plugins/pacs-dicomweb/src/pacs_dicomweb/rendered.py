"""The Retrieve transaction for rendered resources and thumbnails (PS3.18 §10.4.1.1.3, .4)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import evolve
from pacs_web.api.http import HttpError, StreamResponse
from pacs_web.api.media_types import Representation
from pacs_web.api.multipart_writing import OutgoingPart, new_boundary, write_multipart
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.sr import is_sr_class
from pacs_core.contracts import (
    Archive,
    FrameNotFoundError,
    InstanceNotFoundError,
    InstancePath,
    Outcome,
    RenderingError,
    RenderingOptions,
    StoredInstance,
    TranscodingError,
    UnreadableFramesError,
    Viewport,
)
from pacs_core.dataset import MalformedDataset
from pacs_dicomweb.encapsulated_content import EncapsulatedContent
from pacs_dicomweb.frames import read_frame_list
from pacs_dicomweb.instances import entity_tag, instance_of, instances_of, is_unchanged
from pacs_dicomweb.kept import Kept
from pacs_dicomweb.missing_frames import FoundFrames, find_all_frames, find_frames
from pacs_dicomweb.pixel_room import PixelRoom
from pacs_dicomweb.presentation_states import STATES
from pacs_dicomweb.rendering_parameters import (
    THUMBNAIL,
    read_annotations,
    read_rendering,
    wants_subtraction,
)
from pacs_dicomweb.reports import Reports
from pacs_dicomweb.search_parameters import InvalidParameterError, first_values
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    accept,
    parameters_of,
    resource_of,
    resource_of_instance,
)
from pacs_dicomweb.shown_frames import Shown, annotations_of, look_at, read_state, show

JPEG: Final = Representation("image/jpeg")
PNG: Final = Representation("image/png")
GIF: Final = Representation("image/gif")
SEVERAL: Final = tuple(Representation(each.name, is_multipart=True) for each in (JPEG, PNG, GIF))
_MOST_PRESENTED: Final = 100
"""Images of a presentation state."""

_KEPT_HEADERS: Final = 16 << 20
"""Bytes of memory for headers that were read."""

_TRIED: Final = 8
"""Instances that are tried for a thumbnail."""

NOT_SHOWN: Final[tuple[type[Exception], ...]] = (
    FrameNotFoundError,
    MalformedDataset,
    RenderingError,
    TranscodingError,
    UnreadableFramesError,
)


class Rendering:
    """Answers with pictures.

    Parameters
    ----------
    service : DicomWeb

    Attributes
    ----------
    encapsulated, reports : EncapsulatedContent, Reports
        What answers where there is a document or video, or an SR document instead.
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service
        self.encapsulated = EncapsulatedContent(service)
        self.reports = Reports(service)
        self._headers: Kept[Shown] = Kept(lambda: _KEPT_HEADERS)
        self._room = PixelRoom()
        self._pictures_kept: Kept[bytes] = Kept(lambda: service.config.kept_pictures)

    async def look_at(self, archive: Archive, instance: StoredInstance) -> Shown:
        """Return how an instance is shown, as the archive has just found it."""
        return await look_at(archive, instance, self._headers)

    async def retrieve(self, request: Request) -> Response:
        """Answer GET of a rendered instance, or of rendered frames of it."""
        archive = self._service.archive(request)
        return await self.answer(request, archive, await instance_of(archive, resource_of(request)))

    async def answer(
        self, request: Request, archive: Archive, instance: StoredInstance
    ) -> Response:
        """Answer with the rendered form of an instance, or of the frames that the path names."""
        if instance.identity.sop_class_uid in STATES:
            return await self._presented(request, archive, instance)
        if is_sr_class(instance.identity.sop_class_uid) and "frames" not in request.path_params:
            return await self.reports.retrieve(request, archive, instance)
        shown = await self.look_at(archive, instance)
        shown = evolve(shown, is_subtracted=_is_subtracted(request))
        if "frames" in request.path_params:
            numbers = read_frame_list(request.path_params["frames"])
            found = await find_frames(archive, instance, numbers)
            offered = (JPEG, PNG, GIF) if len(numbers) == 1 else (GIF, *SEVERAL)
            return await self._pictures(request, archive, shown, found, offered)
        if offered := EncapsulatedContent.offered(shown):
            chosen = accept(request, parameters_of(request), offered)[0].representation
            return await self.encapsulated.answer(request, archive, shown, chosen.name)
        found = await find_all_frames(archive, instance, shown.frames)
        return await self._pictures(request, archive, shown, found, _offer(found.numbers))

    async def _presented(
        self, request: Request, archive: Archive, instance: StoredInstance
    ) -> Response:
        """Answer with the images of a presentation state, as it presents them (§10.4.1.1.3)."""
        found = await self._find_presented(archive, instance)
        shown, numbers = found[0]
        if len(found) == 1:
            frames = await find_frames(archive, shown.instance, numbers)
            return await self._pictures(request, archive, shown, frames, _offer(frames.numbers))
        parameters = parameters_of(request)
        representation = accept(request, parameters, SEVERAL[:2])[0].representation
        options = self.options(first_values(parameters), representation.name)
        await self.record(request, [each.instance for each, _ in found])

        async def parts() -> AsyncIterator[OutgoingPart]:
            for shown, numbers in found:
                content = await self.show(archive, shown, numbers[:1], options)
                where = f"{self.url(request, shown.instance)}/rendered"
                yield OutgoingPart(options.media_type, content, location=where)

        return respond_in_parts(representation, parts())

    async def _find_presented(
        self, archive: Archive, instance: StoredInstance
    ) -> list[tuple[Shown, Sequence[int]]]:
        """Return the images of a presentation state that are here, and which frames it is for."""
        state = await read_state(archive, instance)
        study = instance.identity.study_instance_uid
        found: list[tuple[Shown, Sequence[int]]] = []
        for image in state.images[:_MOST_PRESENTED]:
            stored = await archive.locate(InstancePath(study, image.sop_instance_uid))
            if stored is not None:
                shown = evolve(
                    await self.look_at(archive, stored), state=state, state_instance=instance
                )
                found.append((shown, image.frames or tuple(range(1, shown.frames + 1))))
        if not found:
            raise InstanceNotFoundError("none of the images of the presentation state is here")
        return found

    async def thumbnail(self, request: Request) -> Response:
        """Answer GET of the thumbnail of anything: of a study or series, of one of its images.

        Where there is nothing but presentation states, it is of an image as the first presents it.
        """
        parameters, archive = parameters_of(request), self._service.archive(request)
        representation = accept(request, parameters, (JPEG, PNG, GIF))[0].representation
        options = self.options(first_values(parameters), representation.name, THUMBNAIL)
        resource = resource_of(request)
        if "frames" in request.path_params:
            numbers = read_frame_list(request.path_params["frames"])[:1]
        else:
            numbers = [1]
        found = await instances_of(archive, resource)
        if found and all(each.identity.sop_class_uid in STATES for each in found):
            shown, presented = (await self._find_presented(archive, found[0]))[0]
            return await self.single(request, archive, shown, presented[0], options)
        instances = _candidates(found)
        tag = entity_tag(instances, str(options), str(numbers))
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        headers = {"ETag": f"W/{tag}"} if tag else {}
        if (content := self._pictures_kept.get(tag)) is not None:
            return Response(content, headers=headers, media_type=representation.name)
        reason: Exception | None = None
        for instance in instances:
            if is_sr_class(instance.identity.sop_class_uid):
                continue  # it has no picture, and may take long to read
            try:
                shown = await self.look_at(archive, instance)
                content = await self.show(archive, shown, numbers, options)
            except NOT_SHOWN as error:
                reason = reason or error
                continue
            self._pictures_kept.keep(tag, content, len(content))
            return Response(content, headers=headers, media_type=representation.name)
        raise reason or InstanceNotFoundError(f"there is no picture of {resource}")

    async def _pictures(
        self,
        request: Request,
        archive: Archive,
        shown: Shown,
        found: FoundFrames,
        offered: Sequence[Representation],
    ) -> Response:
        numbers = found.numbers
        parameters = parameters_of(request)
        representation = accept(request, parameters, offered)[0].representation
        named = first_values(parameters)
        options = self.options(named, representation.name)
        annotations = annotations_of(shown.header, read_annotations(named))
        options = evolve(options, annotations=annotations)
        form = (str(options), str(numbers), str(representation), str(shown.is_subtracted))
        tag = entity_tag(shown.instances, *form)
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        await self.record(request, [shown.instance])
        headers = {"ETag": f"W/{tag}"} if tag else {}
        headers |= found.headers(self._service.url(request))
        if not representation.is_multipart:
            # A picture that cannot move is of the first frame.
            chosen = numbers if representation is GIF else numbers[:1]
            content = await self._picture(tag, archive, shown, chosen, options)
            return Response(content, found.status, headers, representation.name)

        async def parts() -> AsyncIterator[OutgoingPart]:
            for number in numbers:
                content = await self.show(archive, shown, (number,), options)
                where = f"{self.url(request, shown.instance)}/frames/{number}/rendered"
                yield OutgoingPart(representation.name, content, location=where)

        return respond_in_parts(representation, parts(), headers, found.status)

    async def single(
        self,
        request: Request,
        archive: Archive,
        shown: Shown,
        number: int,
        options: RenderingOptions,
    ) -> Response:
        """Answer with the picture of one frame."""
        tag = entity_tag(shown.instances, str(options), str(number))
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        content = await self._picture(tag, archive, shown, (number,), options)
        await self.record(request, [shown.instance])
        headers = {"ETag": f"W/{tag}"} if tag else {}
        return Response(content, headers=headers, media_type=options.media_type)

    async def _picture(
        self,
        tag: str,
        archive: Archive,
        shown: Shown,
        numbers: Sequence[int],
        options: RenderingOptions,
    ) -> bytes:
        """Return a picture; one that was made before needs no pixels."""
        if (content := self._pictures_kept.get(tag)) is None:
            content = await self.show(archive, shown, numbers, options)
            self._pictures_kept.keep(tag, content, len(content))
        return content

    async def show(
        self, archive: Archive, shown: Shown, numbers: Sequence[int], options: RenderingOptions
    ) -> bytes:
        """Return frames as a picture; raises as :func:`.shown_frames.show`."""
        config = self._service.config
        return await show(
            self._service.node,
            archive,
            shown,
            numbers,
            options,
            room=self._room,
            most=config.max_pixels,
            timeout=config.render_timeout,
        )

    def url(self, request: Request, instance: StoredInstance) -> str:
        """Return the absolute URL of an instance."""
        return f"{self._service.url(request)}{resource_of_instance(instance.identity).path}"

    def options(
        self, named: Mapping[str, str], media_type: str, viewport: Viewport | None = None
    ) -> RenderingOptions:
        """Return how a picture is to be made, by the parameters of a request; HttpError 400."""
        try:
            return read_rendering(named, media_type, self._service.config.max_pixels, viewport)
        except InvalidParameterError as error:
            raise HttpError(400, str(error)) from error

    async def record(self, request: Request, instances: Sequence[StoredInstance]) -> None:
        """Record that instances are shown."""
        studies = tuple(sorted({each.identity.study_instance_uid for each in instances}))
        details = {"rendered": True, "instances": len(instances)}
        await self._service.record(request, RETRIEVED, Outcome.SUCCESS, details, studies)


def _is_subtracted(request: Request) -> bool:
    try:
        return wants_subtraction(first_values(parameters_of(request)))
    except InvalidParameterError as error:
        raise HttpError(400, str(error)) from error


def _offer(numbers: Sequence[int]) -> tuple[Representation, ...]:
    """Return what frames may be shown as, what is preferred first: several move."""
    return (GIF, JPEG, PNG, *SEVERAL) if len(numbers) > 1 else (JPEG, PNG, GIF, *SEVERAL)


def respond_in_parts(
    representation: Representation,
    parts: AsyncIterator[OutgoingPart],
    headers: Mapping[str, str] = MappingProxyType({}),
    status: int = 200,
) -> Response:
    """Return a response with a part for each of several."""
    boundary = new_boundary()
    content = write_multipart(parts, boundary)
    content_type = {"Content-Type": representation.content_type(boundary)}
    return StreamResponse(content, headers={**headers, **content_type}, status_code=status)


def _candidates(instances: list[StoredInstance]) -> list[StoredInstance]:
    """Return the instances that may stand for all: that in the middle, then others around it."""
    middle = len(instances) // 2
    order = sorted(range(len(instances)), key=lambda number: abs(number - middle))
    return [instances[number] for number in order[:_TRIED]]
