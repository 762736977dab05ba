"""The event channel: what a subscriber is told, over a WebSocket (PS3.18 §11.13).

Theory of operation
-------------------
What subscribers are to be told waits in the outbox, as for those over DIMSE, whether they are
connected or not. A channel sends what is there, and takes it out once the message has gone; then it
looks again, for the change may have been made by any worker, or another node on the same database.
So nothing is lost while a subscriber is away, and what was sent when the connection broke is sent
again. Of two channels for one AE title both may be sent the same.
"""

from itertools import count
from typing import Final

import anyio
from attrs import frozen
from starlette.websockets import WebSocket, WebSocketDisconnect

from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import EventAction
from pacs_sop_ups.sending import database_steps_of, may_know
from pacs_sop_ups.sop_classes import TOLD, UPS_PUSH
from pacs_sop_ups.steps import check_receiver
from pacs_sop_ups.web.datasets import event_json
from pacs_sop_ups.web.desk import WorkitemDesk, refusal

_POLL: Final = 0.5


@frozen
class EventChannel:
    """Sends subscribers what they are to be told.

    Attributes
    ----------
    desk : WorkitemDesk
    """

    desk: WorkitemDesk

    async def open(self, websocket: WebSocket) -> None:
        """Send events until the subscriber leaves."""
        receiver = websocket.path_params["receiver"]
        try:
            check_receiver(receiver)
        except RefusedRequestError as error:
            raise refusal(error) from error
        await self.desk.restrictions_on_telling(websocket)
        await websocket.accept()
        gone = anyio.Event()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send, websocket, receiver, gone)
                while (await websocket.receive())["type"] != "websocket.disconnect":
                    pass  # Nothing is expected, and nothing made of it.
                gone.set()  # What it does to the database is not broken off.
        except* WebSocketDisconnect:
            pass  # It has left while it was sent something.

    async def _send(self, websocket: WebSocket, receiver: str, gone: anyio.Event) -> None:
        node, origin = self.desk.context.node, self.desk.context.origin_of(websocket)
        outbox, numbers = database_steps_of(node).outbox, count(1)
        while not gone.is_set():
            for waiting in await outbox.next(receiver):
                if gone.is_set():
                    return
                if await may_know(node, origin, waiting):
                    command = {
                        "00000002": {"vr": "UI", "Value": [UPS_PUSH]},
                        "00000110": {"vr": "US", "Value": [next(numbers) & 0xFFFF]},
                        "00001000": {"vr": "UI", "Value": [waiting.instance_uid]},
                        "00001002": {"vr": "US", "Value": [int(waiting.event.kind)]},
                    }
                    await websocket.send_text(event_json(waiting.event.information, command))
                    await self.desk.record(
                        websocket, TOLD, EventAction.READ,
                        event=waiting.event.kind.name, instance=waiting.instance_uid, peer=receiver,
                    )  # fmt: skip
                await outbox.remove(waiting.number)
            with anyio.move_on_after(_POLL):
                await gone.wait()
