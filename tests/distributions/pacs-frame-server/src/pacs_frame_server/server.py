"""The service: each connection sends one request, a JSON object in a line.

The answer is a line with a JSON object, ``{"status": ...}`` as in HTTP, and the bytes of a frame or
of bulk data, if it is about one.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Archive,
    InstanceNotFoundError,
    InstancePath,
    KeyMatching,
    Level,
    Node,
    Order,
    Origin,
    Query,
    Service,
    SingleValue,
    Started,
    StoredInstance,
    bulk_data_path,
    bulk_data_reference,
    http_status_of,
    resolve_bulk_data,
)
from pacs_core.dataset import BulkData, ModelOptions, keyword_of, tag_of, texts
from pacs_core.dataset.json_model import write_json
from pacs_core.dataset.xml_model import write_xml

Answer = tuple[dict[str, Any], bytes]


class FrameServer(Service):
    """Answers requests on behalf of whoever connects."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def run(self, started: Started) -> None:
        """Serve."""
        listeners = [await anyio.abc.SocketListener.from_socket(each) for each in self.sockets]
        async with anyio.create_task_group() as tasks:
            for listener in listeners:
                tasks.start_soon(listener.serve, self._serve)
            started()

    async def _serve(self, stream: SocketStream) -> None:
        async with stream:
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", 65536)
            archive = self._node.archive.on_behalf_of(Origin("frames"))
            try:
                head, body = await self._answer(archive, json.loads(line))
            except Exception as error:
                head, body = {"status": http_status_of(error), "error": str(error)}, b""
            await stream.send(json.dumps({"status": 200, **head}).encode() + b"\n" + body)

    async def _answer(self, archive: Archive, request: dict[str, Any]) -> Answer:
        if "find" in request:
            return await self._find(archive, request), b""
        if "metadata" in request:
            return {}, await self._metadata(archive, request["metadata"])
        instance = await archive.locate(InstancePath(request["study"], request["instance"]))
        if instance is None:
            raise InstanceNotFoundError("there is no such instance")
        if "frame" in request:
            return await self._frame(archive, instance, request)
        header = await archive.header(instance)
        if path := request.get("bulkdata"):
            element = header.elements.find(bulk_data_path(path))
            if element is None or not isinstance(element.value, BulkData):
                raise InstanceNotFoundError("there are no such bulk data")
            pieces = archive.bulk_data(instance, element.value)
            return {"vr": element.vr}, b"".join([piece async for piece in pieces])
        write = write_xml if request.get("xml") else write_json
        options = ModelOptions(refer=lambda path, _: bulk_data_reference(path))
        return {}, "".join(write(header.elements, options)).encode("utf-8", "replace")

    async def _metadata(self, archive: Archive, study: str) -> bytes:
        query = Query(Level.STUDY, (SingleValue(tag_of("StudyInstanceUID"), study),))
        found = [
            resolve_bulk_data(metadata, f"{instance.identity.sop_instance_uid}/")
            async for instance, metadata in archive.metadata(query)
        ]
        return b"[" + b",".join(found) + b"]"

    async def _frame(
        self, archive: Archive, instance: StoredInstance, request: dict[str, Any]
    ) -> Answer:
        stored = archive.frames(instance, [request["frame"]])
        accepted = request.get("accept") or [instance.transfer_syntax_uid]
        frames: AsyncIterator[Any] = self._node.transcoder.frames(stored, accepted)
        async with closing(frames):
            frame = await anext(frames)
        return {"transfer_syntax": frame.transfer_syntax_uid}, frame.data

    async def _find(self, archive: Archive, request: dict[str, Any]) -> dict[str, Any]:
        keys = {tag_of(name): (value,) for name, value in request["find"].items()}
        conditions = KeyMatching().conditions(keys, keys)
        by = request.get("order", "")
        order = (Order(tag_of(by.lstrip("-")), by.startswith("-")),) if by else ()
        query = Query(Level.STUDY, conditions, frozenset(keys), limit=10, order=order)
        found = [
            {keyword_of(tag): texts(match, tag) for tag in match}
            async for match in archive.search(query)
        ]
        return {"count": await archive.count(query), "found": found}
