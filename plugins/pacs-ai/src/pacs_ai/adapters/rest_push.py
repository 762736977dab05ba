"""``rest-push``: instances go to a service in an HTTP request, and results come in the answer.

The request is a POST of ``multipart/related; type="application/dicom"``, as that of STOW-RS
(PS3.18 §10.5), or, with ``send = "frames"``, what :mod:`.frames` makes; the answer is 200 with one
or more DICOM files likewise, or 204 if there is nothing to say. A service that answers 202 stores
its results later, by STOW-RS where ``Results-Location`` of the request says, with
``Results-Token``. What came with 200 is kept whole, see :mod:`pacs_ai.answers`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pacs_dicomweb.api import MalformedMultipart, Splitter, UploadBody, split
from pacs_web.api.media_types import media_type
from pacs_web.api.multipart_writing import new_boundary, write_multipart

from pacs_ai.adapters.frames import JSON, frame_parts
from pacs_ai.adapters.http import open_service, send
from pacs_ai.answers import KeptAnswer
from pacs_ai.desk import AiDesk
from pacs_ai.interface import Answer, InferenceAdapter, Inputs, ResultTaker, ServiceError
from pacs_ai.models import InferenceRequest
from pacs_ai.tokens import make_token
from pacs_core.api.files import file_chunks
from pacs_core.api.streams import closing

_DICOM: Final = "application/dicom"
_ACCEPT: Final = f'multipart/related; type="{_DICOM}", {_DICOM}'


class RestPush(InferenceAdapter):
    """Sends instances to a service over HTTP."""

    async def ask(self, request: InferenceRequest, inputs: Inputs, results: ResultTaker) -> Answer:
        """See base."""
        kept = KeptAnswer(self.node.find(AiDesk).answers, request.number)
        if not kept.is_whole:
            answer = await self._request(request, inputs, kept)
            if answer is not None:
                return answer
        for part in kept.parts():
            async with closing(file_chunks(part)) as content:
                await results.take(content)
        return Answer.COMPLETE

    async def _request(
        self, request: InferenceRequest, inputs: Inputs, kept: KeptAnswer
    ) -> Answer | None:
        """Send a request, and keep what comes back; return the answer if there is no more to it."""
        desk, most = self.node.find(AiDesk), (self.service.max_size, self.service.max_results + 1)
        headers = {
            "Accept": _ACCEPT,
            "Request-Number": str(request.number),
            "Model-Version": request.version,
        }
        if desk.config.dicomweb_url and not inputs.deidentify:
            headers["Results-Location"] = f"{desk.config.dicomweb_url}/studies"
            headers["Results-Token"] = await make_token(desk, request)
        async with (
            open_service(self.node, self.service) as client,
            self._body(inputs, desk.config.dicomweb_url) as (own, pieces),
        ):
            url = self.service.url
            asked = client.build_request("POST", url, headers=headers | own, content=pieces)
            async with send(client, asked) as response:
                if response.status_code == 202:
                    return Answer.LATER
                if response.status_code == 204:
                    return Answer.COMPLETE
                kind = media_type(response.headers.get("content-type", ""))
                name = kind.name if kind else ""
                if name == _DICOM:
                    await kept.keep(_one(response.aiter_bytes()), *most)
                    return None
                if name != "multipart/related" or kind is None:
                    raise ServiceError(f"{url} answered with {name or 'no media type'!r:.80}")
                try:
                    splitter = Splitter(kind.parameters.get("boundary", ""))
                    async with closing(split(response.aiter_bytes(), splitter)) as parts:
                        await kept.keep(parts, *most)
                except MalformedMultipart as error:
                    raise ServiceError(f"the answer of {url} is not whole: {error}") from error
        return None

    @asynccontextmanager
    async def _body(
        self, inputs: Inputs, url: str
    ) -> AsyncIterator[tuple[dict[str, str], AsyncIterator[bytes]]]:
        """Open the body of a request, for an ``async with`` block: its headers, and its bytes."""
        if self.service.send == "frames":
            boundary = new_boundary()
            kind = f'multipart/related; type="{JSON}"; boundary={boundary}'
            async with (
                closing(frame_parts(self.node, inputs.instances, url)) as parts,
                closing(write_multipart(parts, boundary)) as written,
            ):
                yield {"Content-Type": kind}, (bytes(piece) async for piece in written)
            return
        async with inputs.open() as contents:
            body = UploadBody(contents)
            headers = {"Content-Type": body.media_type, "Content-Length": str(body.length)}
            yield headers, body.pieces()


async def _one(part: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    yield part
