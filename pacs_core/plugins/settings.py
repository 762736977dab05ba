"""The table ``[plugins]``."""

from attrs import frozen


@frozen
class PluginPolicy:
    """The table ``[plugins]``: which plugins take part, and in which order.

    Attributes
    ----------
    disabled : tuple of str
        Never imported.
    required : tuple of str
        The node does not start without them.
    order : tuple of str
        These come first, in this order; all others follow by name.
    strict : bool
        Every installed plugin is required.
    """

    disabled: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    strict: bool = False

    def rank(self, name: str) -> tuple[int, str]:
        """Return the sort key of a plugin."""
        return (self.order.index(name) if name in self.order else len(self.order), name)
