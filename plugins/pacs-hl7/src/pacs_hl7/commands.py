"""``pacs hl7``."""

import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import anyio

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    UsageError,
    assemble_for_command,
    local_origin,
    open_archive,
    open_node,
    print_rows,
    say,
)
from pacs_core.contracts import Node
from pacs_hl7.config import Hl7Config
from pacs_hl7.framing import Deframer, frame
from pacs_hl7.handling import Handler
from pacs_hl7.handling import replay as heed_again
from pacs_hl7.interface import KeptMessage, Messages, MessageState
from pacs_hl7.messages import MessageError, read_message, split_messages

_COLUMNS = {"NUMBER": 8, "RECEIVED": 20, "STATE": 9, "TYPE": 9, "PATIENT": 16, "RESULT": 0}
"""Of the list, with their widths."""


def list_messages(
    *,
    state: MessageState | None = None,
    patient: str = "",
    limit: int = 50,
    config: ConfigOption = None,
) -> None:
    """List messages that were received, the latest first.

    Parameters
    ----------
    state
        Only those of which this became; `failed` are those that wait for somebody.
    patient
        Only those about this Patient ID.
    limit
        How many at most.
    """

    async def run() -> None:
        async with open_node(config, Messages) as node:
            found = node.find(Messages).search(state=state, patient=patient)
            await print_rows(_COLUMNS, found, _cells, limit)

    anyio.run(run)


def show(number: int, /, *, config: ConfigOption = None) -> None:
    """Show a message, what became of it, and how it was answered.

    Parameters
    ----------
    number
        As listed.
    """

    async def run() -> None:
        async with open_node(config, Messages) as node:
            kept = await _find(node, number)
            say(f"received: {_moment(kept)} from {kept.sender}")
            say(f"state: {kept.state}")
            say(f"result: {kept.result}")
            for title, content in (("message", kept.content), ("answer", kept.answer)):
                say(f"{title}:")
                for line in content.decode("utf-8", "replace").splitlines():
                    say(f"  {line}")

    anyio.run(run)


def replay(number: int, /, *, config: ConfigOption = None) -> None:
    """Do once more what a message asks for, as after what was in its way is mended.

    Parameters
    ----------
    number
        As listed.
    """
    assembly = assemble_for_command(config)
    settings = assembly.plugin_configs["hl7"]
    if not isinstance(settings, Hl7Config):
        raise CommandError("[plugin.hl7] is not read: the plugin is disabled")

    async def run() -> None:
        async with open_archive(assembly, requires=(Messages,)) as opened:
            node = opened.node
            kept = await _find(node, number)
            handler = Handler(node, settings.domains, settings.character_set, settings.mapping)
            try:
                kept = await heed_again(handler, kept, local_origin(node.settings.ae_title))
            except MessageError as error:
                raise CommandError(str(error)) from error
            say(f"{kept.state}: {kept.result or 'nothing to do'}")
            if kept.state is MessageState.FAILED:
                raise CommandError(f"message {number} failed again")

    anyio.run(run)


def send(address: str, /, *files: Path, timeout: float = 30.0) -> None:
    """Send messages to an MLLP listener, and print how they are answered.

    The exit code is 1 if one is not accepted.

    Parameters
    ----------
    address
        HOST:PORT.
    files
        Each with a message, or several.
    timeout
        Seconds for each answer.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"{address}: write it as HOST:PORT")
    unaccepted = 0
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout) as connection:
            for file in files:
                for message in split_messages(file.read_bytes().strip(b"\r\n")):
                    connection.sendall(frame(message.replace(b"\r\n", b"\r").replace(b"\n", b"\r")))
                    code, said = _read_answer(connection)
                    say(f"{file}: {code} {said}".rstrip())
                    unaccepted += code not in {"AA", "CA"}
    except OSError as error:
        raise CommandError(f"{address}: {error}") from error
    if unaccepted:
        raise CommandError(f"{unaccepted} of the messages were not accepted")


BY_VERB: dict[str, Callable[..., None]] = {
    "list": list_messages,
    "show": show,
    "replay": replay,
    "send": send,
}


def _read_answer(connection: socket.socket) -> tuple[str, str]:
    deframer = Deframer(1 << 20)
    while data := connection.recv(1 << 16):
        for content in deframer.feed(data):
            answer = read_message(content)
            return answer.get("MSA", 1), answer.get("MSA", 3)
    raise ConnectionError("it closed the connection without an answer")


async def _find(node: Node, number: int) -> KeptMessage:
    try:
        return await node.find(Messages).find(number)
    except KeyError as error:
        raise CommandError(str(error.args[0])) from error


def _cells(kept: KeptMessage) -> tuple[str, ...]:
    return (
        str(kept.number),
        _moment(kept),
        str(kept.state),
        kept.kind,
        kept.patient,
        kept.result,
    )


def _moment(kept: KeptMessage) -> str:
    return datetime.fromtimestamp(kept.received).astimezone().strftime("%Y-%m-%d %H:%M:%S")
