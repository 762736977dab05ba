"""The Retrieve transaction for frames (PS3.18 §10.4.1.1.6)."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

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

from pacs_core.api.streams import closing
from pacs_core.contracts import Action, Archive, AuditValue, Frame, Outcome, StoredInstance
from pacs_core.dataset import encoding_of
from pacs_dicomweb.instances import entity_tag, instance_of, is_unchanged
from pacs_dicomweb.pixel_media_types import accepted_for, content_type_of, offered_frames
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    accept,
    parameters_of,
    resource_of,
    resource_of_instance,
)

_LIST: Final = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")
MAX_FRAMES: Final = 100_000


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
        tag = entity_tag([instance], str(numbers), choice.representation.content_type(), *syntaxes)
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        headers = {"ETag": f"W/{tag}"} if tag else {}
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
        if len(numbers) == 1:
            # It is in memory as a whole: to stream it would cost more than to read it.
            async with closing(frames) as iterator:
                frame = await anext(iterator)
            part = _part(frame, name, location)
            if choice.representation.is_multipart:
                boundary = new_boundary()
                headers["Content-Type"] = choice.representation.content_type(boundary)
                return Response(write_single(part, boundary), headers=headers)
            headers |= {"Content-Location": part.location, "Content-Type": part.content_type}
            return Response(frame.data, headers=headers)
        boundary = new_boundary()

        async def parts() -> AsyncIterator[OutgoingPart]:
            async with closing(frames) as iterator:
                async for frame in iterator:
                    yield _part(frame, name, location)

        headers["Content-Type"] = choice.representation.content_type(boundary)
        return StreamResponse(write_multipart(parts(), boundary), headers=headers)

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


def _part(frame: Frame, name: str, location: str) -> OutgoingPart:
    content_type = content_type_of(name, frame.transfer_syntax_uid)
    return OutgoingPart(content_type, frame.data, location=f"{location}{frame.number}")


def _takes_native(syntaxes: Sequence[str]) -> bool:
    """Tell whether native pixels are accepted, which are the same in all native syntaxes."""
    return any(not encoding_of(uid).encapsulated for uid in syntaxes)
