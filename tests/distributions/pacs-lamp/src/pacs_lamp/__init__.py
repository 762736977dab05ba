"""A lamp that can be given another colour while it burns, and another place only before."""

from contextlib import suppress
from pathlib import Path

import anyio
from anyio.abc import SocketStream
from attrs import field, frozen

from pacs_core.contracts import RELOADABLE, Node, Service, ServiceDescriptor, Setup, Started
from pacs_core.plugins import hookimpl

COLOURS = ("red", "green", "blue", "grey")


@frozen
class Config:
    """The table ``[plugin.lamp]``."""

    port: int = 0
    place: str = "hall"
    colour: str = field(default="red", metadata=RELOADABLE)


@hookimpl
def pacs_config() -> type:
    """Return the class of the table."""
    return Config


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Refuse colours that no lamp has."""
    colour = setup.config(Config).colour
    return [] if colour in COLOURS else [f"colour: {colour} is none of {', '.join(COLOURS)}"]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return the lamp, one for each worker."""
    config = setup.config(Config)
    return [
        ServiceDescriptor("lamp", lambda node: Lamp(node, config), bind=("127.0.0.1", config.port))
    ]


class Lamp(Service):
    """Tells everyone who connects its worker, its colour and place, and which peers there are.

    A visitor who says "break" breaks it.
    """

    def __init__(self, node: Node, config: Config) -> None:
        self._node = node
        self._config = config

    async def reconfigure(self, setup: Setup) -> None:
        """Burn in another colour; not while a finger is on the switch."""
        config = setup.config(Config)
        finger = setup.settings.data_directory / f"finger-{self._node.worker.slot}"
        if config.colour != self._config.colour and finger.exists():
            raise ValueError(f"a finger is on the switch of lamp {self._node.worker.slot}")
        self._config = config

    async def run(self, started: Started) -> None:
        """Answer visitors."""
        listeners = [await anyio.abc.SocketListener.from_socket(each) for each in self.sockets]
        async with anyio.create_task_group() as tasks:
            for listener in listeners:
                tasks.start_soon(listener.serve, self._answer)
            started()

    async def _answer(self, stream: SocketStream) -> None:
        async with stream:
            worker, peers = self._node.worker.slot, ",".join(self._node.settings.peers) or "-"
            text = f"{worker} {self._config.colour} {self._config.place} {peers}\n"
            await stream.send(text.encode())
            with anyio.move_on_after(0.2), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                if await stream.receive() == b"break":
                    raise RuntimeError("it was broken")


def notes(folder: Path) -> Path:
    """Return where the shade writes what it is told."""
    return folder / "shade"
