"""Settings of the plugin."""

from attrs import field, frozen

from pacs_core.contracts import RELOADABLE, ConfigFile


@frozen
class AccessRulesConfig:
    """``[plugin.access-rules]``.

    Attributes
    ----------
    policy : ConfigFile or None
        File with the rules; without one there are none, and the plugin guards nothing.
    """

    policy: ConfigFile | None = field(default=None, metadata=RELOADABLE)
