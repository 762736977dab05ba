"""Settings that change in many workers: all of them take them, or none.

The supervisor has a socket pair with each worker. It makes a plan itself, then lets one worker
after the other apply the same plan, which each makes from the file; the digest tells whether it is
the same. If one cannot, those before it go back. A worker that dies on the way, or starts later,
begins with the supervisor's assembly.

A message is a line of JSON: ``{"do": "apply", "digest": …}``, answered by ``{"problems": […]}``;
``{"do": "revert"}`` and ``{"do": "report", "problems": […]}``, answered when they are done.
"""

import json
import logging
import socket
from collections.abc import Sequence
from typing import Any, Final

from anyio import BrokenResourceError, IncompleteRead
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from pacs_core.app.assembly import Assembly
from pacs_core.app.reload import Reloader, ReloadError, ReloadPlan, plan_reload

logger = logging.getLogger(__name__)

_PATIENCE: Final = 120.0  # seconds for a worker; each of its components has timeouts.plugin
_LONGEST: Final = 1_000_000  # bytes of a message


class WorkerLine:
    """The supervisor's end of the line to a worker.

    Parameters
    ----------
    end : socket
        Connected.
    """

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(_PATIENCE)
        self._socket = end
        self._file = end.makefile("rb")

    def ask(self, do: str, **details: object) -> tuple[str, ...]:
        """Tell the worker what to do; return its problems: none if it died."""
        try:
            self._socket.sendall(_encode({"do": do, **details}))
            line = self._file.readline(_LONGEST)
        except TimeoutError:
            return (f"a worker did not answer within {_PATIENCE:g} s",)
        except OSError:
            return ()
        return tuple(json.loads(line)["problems"]) if line else ()

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._socket.close()


def _encode(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def reload_workers(running: Assembly, lines: Sequence[WorkerLine]) -> Assembly:
    """Let all workers take the settings of the file, or none; return what workers run now."""
    problems: tuple[str, ...] = ()
    done: list[WorkerLine] = []
    try:
        plan = plan_reload(running)
    except ReloadError as error:
        problems = error.problems
    else:
        for line in lines:
            if problems := line.ask("apply", digest=plan.digest):
                break
            done.append(line)
    for line in reversed(done if problems else []):
        line.ask("revert")
    for line in lines[:1]:
        line.ask("report", problems=problems)
    return running if problems else plan.assembly


async def obey(control: socket.socket, reloader: Reloader) -> None:
    """Do what the supervisor says until it closes its end."""
    control.setblocking(False)
    stream = await SocketStream.from_socket(control)
    plan: ReloadPlan | None = None
    async with stream:
        lines = BufferedByteReceiveStream(stream)
        while True:
            try:
                message = json.loads(await lines.receive_until(b"\n", _LONGEST))
            except (IncompleteRead, BrokenResourceError):
                return
            problems: tuple[str, ...] = ()
            if message["do"] == "apply":
                plan, problems = await _apply(reloader, message["digest"])
            elif message["do"] == "revert":
                await reloader.revert()
            else:
                await _report(reloader, plan, message)
            await stream.send(_encode({"problems": problems}))


async def _apply(reloader: Reloader, digest: str) -> tuple[ReloadPlan | None, tuple[str, ...]]:
    try:
        plan = plan_reload(reloader.assembly)
        if plan.digest != digest:
            return None, ("the configuration file changed while it was read",)
        await reloader.apply(plan)
    except ReloadError as error:
        return None, error.problems
    return plan, ()


async def _report(reloader: Reloader, plan: ReloadPlan | None, message: dict[str, Any]) -> None:
    if refused := message.get("problems"):
        await reloader.report_refusal(tuple(refused))
    elif plan is not None:
        await reloader.report(plan)
