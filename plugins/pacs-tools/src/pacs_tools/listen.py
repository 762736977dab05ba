"""``pacs listen``: a receiver into a folder."""

import signal
from pathlib import Path
from typing import Annotated, Literal

from pacs_core.api.file_commands import CommandError, JsonOption, Option, UsageError, dump_json, say

Layout = Literal["series", "study", "flat"]


def listen(
    *,
    output: Annotated[Path, Option("--output", "-o")],
    port: int = 11112,
    host: str = "127.0.0.1",
    ae_title: str = "PACS",
    only_called: Annotated[bool, Option()] = False,
    transfer_syntax: Annotated[list[str] | None, Option("--transfer-syntax", "-t")] = None,
    layout: Layout = "series",
    json: JsonOption = False,
) -> int:
    """Receive instances by C-STORE into a folder, until SIGINT or SIGTERM.

    No configuration is needed, and none is read. Datasets are written byte for byte as they come,
    and are on the disk before the peer is told so. A file that is there already stays: the same
    content is taken as done, other content gets a name beside it.

    Parameters
    ----------
    output
        Folder to write to; made if it is not there.
    port
        0 takes a free one.
    host
        Address to listen on; 0.0.0.0 for all of this machine.
    ae_title
        Ours.
    only_called
        Refuse associations that call another AE title than ours.
    transfer_syntax
        Accept this only, by UID, its name in PS3.6, or a short name; may be given several times.
    layout
        Files are STUDY/SERIES/INSTANCE.dcm, or with "study" STUDY/INSTANCE.dcm, or with "flat"
        INSTANCE.dcm.
    json
        Print an object for each file, in a line of its own.
    """
    # They bring the network, which the help of all commands does not wait for.
    import anyio

    from pacs_core.api.commands import run_async
    from pacs_core.association import Listener, NetworkSettings, bind_sockets
    from pacs_core.contracts import check_ae_title
    from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, transfer_syntax_uid
    from pacs_tools.receiving import FileReceiver, NoAuditTrail, ReceivedFile, make_services

    try:
        check_ae_title(ae_title)
        accepted = tuple(map(transfer_syntax_uid, transfer_syntax or ()))
    except ValueError as error:
        raise UsageError(str(error)) from error

    def tell(file: ReceivedFile) -> None:
        if json:
            found = {
                "file": str(file.path), "size": file.size, "sop_class": file.sop_class_uid,
                "sop_instance": file.sop_instance_uid, "from": file.calling_ae_title,
                "transfer_syntax": file.transfer_syntax_uid, "new": file.is_new,
            }  # fmt: skip
            print(dump_json(found), flush=True)
        else:
            print(f"{file.path}{'' if file.is_new else ' (is there already)'}", flush=True)

    receiver = FileReceiver(output, layout, tell)
    every = tuple(each.uid for each in ALL_TRANSFER_SYNTAXES)
    services = make_services(receiver, accepted or every)

    async def run() -> None:
        settings = NetworkSettings(check_called_ae_title=only_called)
        listener = Listener(ae_title, settings, services, NoAuditTrail())
        try:
            await listener.listen(bind_sockets(host, port))
        except OSError as error:
            raise CommandError(f"{host}:{port}: {error.strerror or error}") from error
        if not json:
            print(f"listening: {ae_title}@{host}:{listener.port}", flush=True)
        else:
            print(dump_json({"listening": host, "port": listener.port}), flush=True)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve)
                async for _ in signals:
                    break
                await listener.drain(settings.timeouts.shutdown)
                tasks.cancel_scope.cancel()

    output.mkdir(parents=True, exist_ok=True)
    run_async(run)
    if not json:
        failed = f", {receiver.failed} not" if receiver.failed else ""
        say(f"{receiver.received} instance{'' if receiver.received == 1 else 's'} received{failed}")
    return 1 if receiver.failed else 0
