"""The Retrieve transaction for frames (PS3.18 §10.4.1.1.6)."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

import anyio
from attrs import evolve
from pacs_web.api.datasets import not_acceptable
from pacs_web.api.http import HttpError, StreamResponse
from pacs_web.api.media_types import Choice, Representation
from pacs_web.api.multipart_writing import (
    OutgoingPart,
    new_boundary,
    write_multipart,
    write_single,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pacs_core.api.streams import closing
from pacs_core.contracts import Action, Archive, AuditValue, Frame, Outcome, StoredInstance
from pacs_core.dataset import ReadLimits, encoding_of
from pacs_dicomweb.instances import entity_tag, instance_of, is_unchanged
from pacs_dicomweb.kept import Kept
from pacs_dicomweb.missing_frames import find_frames
from pacs_dicomweb.pixel_media_types import accepted_for, content_type_of, offered_frames
from pacs_dicomweb.pixel_room import PixelRoom
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    accept,
    parameters_of,
    resource_of,
    resource_of_instance,
)
from pacs_dicomweb.shown_frames import pixels_of

# Theory of operation
#
# A frame is in memory as a whole. Most are small, and one of these is answered in one piece. A
# large one needs room for its pixels until the client has taken it, so that a few requests for huge
# frames do not add up. It is sent in pieces, since what is given to the server at once is in its
# buffer for as long as the client likes.
#
# Whether it is large its header says, which is read only if the object is not small itself, or the
# frame is decoded.

_LIST: Final = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")
MAX_FRAMES: Final = 100_000

_SMALL: Final = 1 << 20
"""Bytes of an object, and pixels of a frame, that need no room."""
_KEPT: Final = 1 << 20
_EACH: Final = 256
"""Bytes of memory for what is known of instances, and of one."""
_LIMITS: Final = ReadLimits(bulk=0, value=256)
_PIECE: Final = 256 * 1024


def read_frame_list(text: str) -> list[int]:
    """Return the numbers of a frame list (§10.1.2).

    Raises
    ------
    HttpError
        400: it is none.
    """
    plain = text.replace(" ", "")
    if not _LIST.fullmatch(plain):
        raise HttpError(400, f"{text[:60]!r} is no list of frames: numbers from 1, with commas")
    numbers = [int(each) for each in plain.split(",")]
    if 0 in numbers:
        raise HttpError(400, "frames are numbered from 1")
    return numbers


class FrameRetrieval:
    """Answers for frames of an instance, each by itself: none but those asked for are decoded.

    Parameters
    ----------
    service : DicomWeb
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service
        self._room = PixelRoom()
        self._pixels: Kept[int] = Kept(lambda: _KEPT)

    async def retrieve(self, request: Request) -> Response:
        """Answer GET of frames."""
        resource = resource_of(request)
        numbers = read_frame_list(request.path_params["frames"])
        archive = self._service.archive(request)
        instance = await instance_of(archive, resource)
        return await self.answer(request, archive, instance, numbers)

    async def answer(
        self, request: Request, archive: Archive, instance: StoredInstance, numbers: Sequence[int]
    ) -> Response:
        """Answer with frames of an instance."""
        parameters = parameters_of(request)
        stored = instance.transfer_syntax_uid
        offered = offered_frames(stored, len(numbers))
        choices = accept(request, parameters, offered)
        choice, syntaxes = self._choose(choices, stored, offered)
        name = choice.representation.name
        found = await find_frames(archive, instance, numbers)
        numbers = found.numbers
        tag = entity_tag([instance], str(numbers), choice.representation.content_type(), *syntaxes)
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        headers = {"ETag": f"W/{tag}"} if tag else {}
        headers |= found.headers(self._service.url(request))
        details: dict[str, AuditValue] = {
            "frames": len(numbers),
            "sop_instance_uid": instance.identity.sop_instance_uid,
        }
        studies = (instance.identity.study_instance_uid,)
        await self._service.record(request, RETRIEVED, Outcome.SUCCESS, details, studies)
        frames = self._frames(archive, instance, numbers, syntaxes)
        location = (
            f"{self._service.url(request)}{resource_of_instance(instance.identity).path}/frames/"
        )
        pixels = 0
        if instance.size > _SMALL or stored not in syntaxes:
            pixels = await self._large(archive, instance)
        boundary = new_boundary() if choice.representation.is_multipart else ""
        if len(numbers) == 1 and not found.warning:
            async with AsyncExitStack() as taken:
                if pixels:
                    await self._take_room(taken, pixels)
                async with closing(frames) as iterator:
                    frame = await anext(iterator)
                part = _part(frame, name, location)
                if boundary:
                    headers["Content-Type"] = choice.representation.content_type(boundary)
                    content = write_single(part, boundary)
                else:
                    headers["Content-Type"] = part.content_type
                    headers["Content-Location"] = part.location
                    content = frame.data
                if pixels:
                    return _LargeFrame(content, headers, taken.pop_all())
                return Response(content, headers=headers)

        async def parts() -> AsyncIterator[OutgoingPart]:
            async with AsyncExitStack() as taken:
                if pixels:  # until the end: whoever reads the next frame still holds the last one
                    await self._take_room(taken, pixels)
                async with closing(frames) as iterator:
                    async for frame in iterator:
                        part = _part(frame, name, location)
                        yield _in_pieces(part) if pixels else part

        headers["Content-Type"] = choice.representation.content_type(boundary)
        body = write_multipart(parts(), boundary)
        return StreamResponse(body, headers=headers, status_code=found.status)

    async def _large(self, archive: Archive, instance: StoredInstance) -> int:
        """Return how many pixels a frame of an instance has; 0 if it needs no room."""
        name = entity_tag([instance])
        if (pixels := self._pixels.get(name)) is None:
            pixels = pixels_of(await archive.header(instance, _LIMITS))
            self._pixels.keep(name, pixels, _EACH)
        return pixels if pixels > _SMALL else 0

    async def _take_room(self, taken: AsyncExitStack, pixels: int) -> None:
        """Wait for room; HttpError 503 if there is none for too long (PS3.18 Table 8.5-1)."""
        config = self._service.config
        try:
            with anyio.fail_after(config.render_timeout):
                await taken.enter_async_context(self._room.take(pixels, config.max_pixels))
        except TimeoutError:
            raise HttpError(
                503, "others are taking frames that are as large: ask again", {"Retry-After": "5"}
            ) from None

    def _choose(
        self, choices: Sequence[Choice], stored: str, offered: Sequence[Representation]
    ) -> tuple[Choice, tuple[str, ...]]:
        """Return the first choice in which frames can come, and its transfer syntaxes."""
        reason = ""
        for choice in choices:
            syntaxes = accepted_for(choice.representation.name, choice.transfer_syntaxes, stored)
            if not syntaxes:
                continue
            if not encoding_of(stored).encapsulated:
                syntaxes = (*syntaxes, stored) if _takes_native(syntaxes) else syntaxes
            plan = self._service.node.transcoder.plan(stored, syntaxes)
            if plan.action is not Action.REFUSE:
                return choice, syntaxes
            reason = plan.reason
        raise not_acceptable(offered, reason)

    def _frames(
        self,
        archive: Archive,
        instance: StoredInstance,
        numbers: Sequence[int],
        syntaxes: Sequence[str],
    ) -> AsyncIterator[Frame]:
        return self._service.node.transcoder.frames(archive.frames(instance, numbers), syntaxes)


class _LargeFrame(StreamResponse):
    """A response in pieces, which gives back the room of its frame once it is sent."""

    def __init__(self, content: bytes, headers: dict[str, str], taken: AsyncExitStack) -> None:
        super().__init__(_pieces(content), headers=headers | {"Content-Length": str(len(content))})
        self._taken = taken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See base."""
        async with self._taken:
            await super().__call__(scope, receive, send)


async def _pieces(content: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(content)
    for start in range(0, len(whole), _PIECE):
        yield whole[start : start + _PIECE]


def _in_pieces(part: OutgoingPart) -> OutgoingPart:
    assert isinstance(part.content, bytes)  # noqa: S101 - for the type checker
    return evolve(part, content=_pieces(part.content), length=len(part.content))


def _part(frame: Frame, name: str, location: str) -> OutgoingPart:
    content_type = content_type_of(name, frame.transfer_syntax_uid)
    return OutgoingPart(content_type, frame.data, location=f"{location}{frame.number}")


def _takes_native(syntaxes: Sequence[str]) -> bool:
    """Tell whether native pixels are accepted, which are the same in all native syntaxes."""
    return any(not encoding_of(uid).encapsulated for uid in syntaxes)
