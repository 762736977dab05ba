"""Components, the long-lived parts of a node: each is started and stopped."""

from pathlib import Path


class Component:
    """Base of everything that a descriptor creates and that lives as long as the node.

    The kernel calls :meth:`start` before the first port is bound and :meth:`stop` after the
    last association has ended, in the reverse order of starting. Both run in the node's event
    loop, under a timeout from the configuration.
    """

    directory: Path | None = None
    """The local directory in which it keeps files, if any, known before it starts.

    The kernel watches the free space there.
    """

    async def start(self) -> None:
        """Acquire what is needed; raising keeps the component out of the node."""

    async def stop(self) -> None:
        """Release everything; called once, also after a failed :meth:`start`."""
