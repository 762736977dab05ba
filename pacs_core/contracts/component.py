"""Components, the long-lived parts of a node: each is started and stopped."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pacs_core.contracts.node import Setup


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

    async def reconfigure(self, setup: "Setup") -> None:
        """Take other settings while running; a component that cannot leaves this as it is.

        SIGHUP lets a node read its configuration again. All of it is checked first, as at start,
        `pacs_check` included; an error in any table, and nothing changes. Then each component that
        overrides this, and whose setup is another one now, is called, in the order of starting.
        Either all take the new settings, or none: if one raises, those before it, and it itself,
        are called with the old settings again.

        Only keys that the config class marks with :data:`~pacs_core.contracts.RELOADABLE` differ
        from before, and the kernel's settings: `setup.settings`, with the peers. Whatever is under
        way goes on as it began.

        Called in the node's event loop, under ``timeouts.plugin``; never while the component
        starts or stops, but while it works. To be called with settings that it has must do no
        harm. One that is created later is created with the new settings.

        Parameters
        ----------
        setup : Setup
            What the registration hooks of the plugin would receive now.

        Raises
        ------
        ValueError
            It refuses, with a sentence for the log: it goes on with the settings that it had. Any
            other exception counts as a failure, and the same holds.
        """
