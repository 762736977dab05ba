"""Calls of hooks by plugins: how a plugin that publishes a hook reaches those who implement it."""

from collections.abc import Iterator

from attrs import frozen


@frozen
class Contribution:
    """What one plugin returned from a hook.

    Attributes
    ----------
    plugin : str
        Name of the plugin.
    source : str
        Its distribution and version, for messages.
    result : object
        As returned; the caller checks it, see :meth:`Hooks.refuse`.
    """

    plugin: str
    source: str
    result: object


class Hooks:
    """The hooks of a node, for plugins that publish some. This one has no implementations."""

    def call(self, hook: str, **arguments: object) -> Iterator[Contribution]:
        """Call a hook of every loaded plugin, in plugin order.

        A plugin that raises is quarantined with the reason, and passed over.

        Parameters
        ----------
        hook : str
            Published by a ``pacs_hookspecs``.
        **arguments
            As the specification names them. If it has an argument `setup`, leave that out: each
            plugin is given its own.

        Raises
        ------
        LookupError
            No plugin publishes this hook.
        """
        yield from ()

    def refuse(self, contribution: Contribution, reason: str) -> None:
        """Quarantine the plugin of a contribution that cannot be used.

        Parameters
        ----------
        contribution : Contribution
        reason : str
            What was wrong with it, and what to do.
        """
