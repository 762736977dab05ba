"""``pacs hl7``."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio

from pacs_core.api.commands import (
    Assembly,
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
from pacs_core.api.tls import make_context
from pacs_core.contracts import CapabilityDescriptor, CorrectionError, Node, PatientRecords
from pacs_hl7.config import Hl7Config, Hl7Peer
from pacs_hl7.handling import Handler
from pacs_hl7.interface import (
    KeptMessage,
    Messages,
    MessageState,
    Outgoing,
    OutgoingMessage,
    OutgoingState,
)
from pacs_hl7.messages import MessageError, split_messages
from pacs_hl7.sending import ACCEPTING, SendingError, connect

_COLUMNS = {"NUMBER": 8, "RECEIVED": 20, "STATE": 9, "TYPE": 9, "PATIENT": 16, "RESULT": 0}
"""Of the list, with their widths."""
_OUTGOING = {"NUMBER": 8, "MADE": 20, "PEER": 12, "STATE": 9, "KIND": 16, "RESULT": 0}
_CONFLICTS = {"NUMBER": 8, "RECEIVED": 20, "STATE": 9, "TYPE": 9, "CONFLICT": 16, "RESULT": 0}


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
            say(f"received: {_time(kept.received)} from {kept.sender}")
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
    assembly, settings = _assemble(config)

    async def run() -> None:
        async with _open(assembly) as node:
            await _find(node, number)
            origin = local_origin(node.settings.ae_title)
            try:
                kept = await Handler(node, settings).replay(number, origin)
            except MessageError as error:
                raise CommandError(str(error)) from error
            say(f"{kept.state}: {kept.result or 'nothing to do'}")
            if kept.state is MessageState.FAILED:
                raise CommandError(f"message {number} failed again")

    anyio.run(run)


def undo(number: int, /, *, config: ConfigOption = None) -> None:
    """Take back what a message has done, such as a wrong merge.

    Patients are told apart as before, at every door; what came meanwhile under the identifier
    that was merged is its own again.

    Parameters
    ----------
    number
        As listed.
    """
    assembly, settings = _assemble(config)

    async def run() -> None:
        async with _open(assembly) as node:
            await _find(node, number)
            try:
                origin = local_origin(node.settings.ae_title)
                kept = await Handler(node, settings).undo(number, origin)
            except (MessageError, CorrectionError) as error:
                raise CommandError(str(error)) from error
            say(f"{kept.state}: {kept.result}")

    anyio.run(run)


def conflicts(*, limit: int = 50, config: ConfigOption = None) -> None:
    """List messages that contradict what was known, the latest first.

    Parameters
    ----------
    limit
        How many at most.
    """

    async def run() -> None:
        async with open_node(config, Messages) as node:
            found = node.find(Messages).search(conflicts=True)
            await print_rows(_CONFLICTS, found, _conflict_cells, limit)

    anyio.run(run)


def send(target: str, /, *files: Path, timeout: float = 30.0, config: ConfigOption = None) -> None:
    """Send messages by MLLP, and print how they are answered.

    The exit code is 1 if one is not accepted.

    Parameters
    ----------
    target
        HOST:PORT, or NAME of a table `[plugin.hl7.peers.NAME]`, which may have TLS.
    files
        Each with a message, or several.
    timeout
        Seconds for each answer, unless the table says so.
    """
    host, _, port = target.rpartition(":")
    if host and port.isdigit():
        peer = Hl7Peer(host.strip("[]"), int(port), timeout)
    else:
        _, settings = _assemble(config)
        if target not in settings.peers:
            raise UsageError(f"{target}: write HOST:PORT, or name a [plugin.hl7.peers.NAME]")
        peer = settings.peers[target]

    async def run() -> int:
        unaccepted = 0
        async with connect(peer, make_context) as connection:
            for file in files:
                for message in split_messages(file.read_bytes().strip(b"\r\n")):
                    answer = await connection.send(
                        message.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
                    )
                    code, said = answer.get("MSA", 1), answer.get("MSA", 3)
                    say(f"{file}: {code} {said}".rstrip())
                    unaccepted += code not in ACCEPTING
        return unaccepted

    try:
        unaccepted = anyio.run(run)
    except SendingError as error:
        raise CommandError(f"{target}: {error}") from error
    if unaccepted:
        raise CommandError(f"{unaccepted} of the messages were not accepted")


def outgoing(
    *, state: OutgoingState | None = None, limit: int = 50, config: ConfigOption = None
) -> None:
    """List messages that were sent, or are to be, the latest first.

    Parameters
    ----------
    state
        Only those in this state; `failed` are those that wait for somebody.
    limit
        How many at most.
    """

    async def run() -> None:
        async with open_node(config, Outgoing) as node:
            found = node.find(Outgoing).search(state)
            await print_rows(_OUTGOING, found, _outgoing_cells, limit)

    anyio.run(run)


def resend(number: int, /, *, config: ConfigOption = None) -> None:
    """Let a message be sent once more, as after what it was refused for is mended.

    Parameters
    ----------
    number
        As listed by `pacs hl7 outgoing`.
    """

    async def run() -> None:
        async with open_node(config, Outgoing) as node:
            try:
                await node.find(Outgoing).send_again(number)
            except KeyError as error:
                raise CommandError(str(error.args[0])) from error
            say(f"message {number} waits")

    anyio.run(run)


BY_VERB: dict[str, Callable[..., None]] = {
    "list": list_messages,
    "show": show,
    "conflicts": conflicts,
    "outgoing": outgoing,
    "replay": replay,
    "resend": resend,
    "undo": undo,
    "send": send,
}


@asynccontextmanager
async def _open(assembly: Assembly) -> AsyncIterator[Node]:
    """Open the node with all that messages may change."""
    # What other plugins have about patients is started only for those who ask.
    records = [
        descriptor.interface
        for _, descriptor in assembly.registry.active(CapabilityDescriptor)
        if issubclass(descriptor.interface, PatientRecords)
    ]
    async with open_archive(assembly, requires=(Messages, *records)) as opened:
        yield opened.node


def _assemble(config: Path | None) -> tuple[Assembly, Hl7Config]:
    assembly = assemble_for_command(config)
    settings = assembly.plugin_configs["hl7"]
    if not isinstance(settings, Hl7Config):
        raise CommandError("[plugin.hl7] is not read: the plugin is disabled")
    return assembly, settings


async def _find(node: Node, number: int) -> KeptMessage:
    try:
        return await node.find(Messages).find(number)
    except KeyError as error:
        raise CommandError(str(error.args[0])) from error


def _outgoing_cells(message: OutgoingMessage) -> tuple[str, ...]:
    return (
        str(message.number),
        _time(message.created),
        message.peer,
        str(message.state),
        message.kind,
        message.result,
    )


def _conflict_cells(kept: KeptMessage) -> tuple[str, ...]:
    cells = _cells(kept)
    return (*cells[:4], str(kept.conflict), cells[-1] or f"of {kept.patient}")


def _cells(kept: KeptMessage) -> tuple[str, ...]:
    return (
        str(kept.number),
        _time(kept.received),
        str(kept.state),
        kept.kind,
        kept.patient,
        kept.result,
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
