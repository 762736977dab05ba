"""Capabilities: what a plugin offers to other plugins, under an interface that both know."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from attrs import define, field

T = TypeVar("T")
Interface = Callable[..., T]
"""A class, abstract or not; as ``type[T]`` it would have to be concrete."""


@define
class Capabilities:
    """What the plugins of a node offer each other, by interface."""

    _provided: dict[Interface[Any], object] = field(factory=dict)

    def provide(self, interface: Interface[T], implementation: T) -> None:
        """Offer an object under an interface. The kernel does this for ``pacs_capabilities``.

        Raises
        ------
        TypeError
            The object is no instance of the interface.
        """
        if not isinstance(implementation, cast(type, interface)):
            raise TypeError(f"{implementation!r:.100} is no {interface_name(interface)}")
        self._provided[interface] = implementation

    def provides(self, interface: Interface[Any]) -> bool:
        """Tell whether something is offered under an interface."""
        return interface in self._provided

    def find_all(self, base: Interface[T]) -> list[T]:
        """Return everything that is offered under an interface that derives from `base`."""
        return [
            cast(T, implementation)
            for interface, implementation in self._provided.items()
            if issubclass(cast(type, interface), cast(type, base))
        ]

    def find(self, interface: Interface[T]) -> T:
        """Return what is offered under an interface.

        Raises
        ------
        LookupError
            Nothing is; the message says what to do.
        """
        if interface not in self._provided:
            raise LookupError(
                f"nothing provides {interface_name(interface)} here: install a plugin that does, "
                "and name the interface in `requires` of the descriptor that needs it"
            )
        return cast(T, self._provided[interface])


def interface_name(interface: Interface[Any]) -> str:
    """Return the full name of an interface, for messages."""
    return f"{interface.__module__}.{interface.__qualname__}"
