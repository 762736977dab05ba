"""Hooks that were renamed: what plugins for an earlier version implement still works, and warns.

Everything deprecated is declared here or, for a single argument of a hook, in its specification
(``@hookspec(warn_on_impl_args={"argument": DeprecationWarning("what to use instead")})``).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

Adapter = Callable[[Any], object]


@frozen
class RenamedHook:
    """What became of a hook.

    Attributes
    ----------
    name : str
        The hook that has taken its place.
    removed_in : str
        Version of pacs-core that will no longer know the old name.
    adapt : callable or None
        Turns what an implementation of the old hook returns into what the new one must return.
    """

    name: str
    removed_in: str
    adapt: Adapter | None = None

    def note(self, old: str) -> str:
        """Return what to tell the plugin's author."""
        return (
            f"the hook {old} is called {self.name} now; "
            f"pacs-core {self.removed_in} will not know the old name"
        )


RENAMED_HOOKS: Final[Mapping[str, RenamedHook]] = {}
"""By the old name. None so far: this is the first version of the API."""
