"""Capabilities that plugins provide to each other, started before what requires them."""

from collections.abc import Iterable
from functools import partial

from pacs_core.app.assembly import Assembly
from pacs_core.app.lifespan import Lifespan, start_optional
from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumerDescriptor,
    Component,
    ControlDescriptor,
    DeletionGuardDescriptor,
    EventHandlerDescriptor,
    Node,
    ServiceDescriptor,
    ServiceProviderDescriptor,
    interface_name,
)

# Theory of operation
#
# What plugins offer to each other is started when somebody needs it, and before whoever does. So an
# order of plugins need not be written down, and a capability that nobody requires costs nothing.
# Descriptors name the interfaces that they require; each of these may require others in turn.
#
# Circles, and interfaces that nobody provides, are found when plugins register (`registry`), with
# the names of those to blame. What is left for here is a provider that fails to start: it is
# quarantined, and when those that require it are created, `Node.find` says so.

RequiringDescriptor = (
    CapabilityDescriptor
    | ChangeConsumerDescriptor
    | ControlDescriptor
    | DeletionGuardDescriptor
    | EventHandlerDescriptor
    | ServiceDescriptor
    | ServiceProviderDescriptor
)


def create_with_required(descriptor: RequiringDescriptor, node: Node) -> Component:
    """Create what a descriptor describes, once the capabilities that it requires are there.

    Raises
    ------
    LookupError
        One of them did not start.
    """
    for interface in descriptor.requires:
        node.find(interface)
    return descriptor.create(node)


async def start_capabilities(
    assembly: Assembly, lifespan: Lifespan, node: Node, interfaces: Iterable[type]
) -> None:
    """Start what provides these interfaces, and before each what it requires in turn.

    What runs already is left alone. One that does not start is quarantined; so will be those
    that require it.
    """
    for interface in interfaces:
        try:
            providers = assembly.registry.providers(interface)
        except LookupError:
            continue  # whoever requires it is told so
        for record, descriptor in providers:
            if node.capabilities.provides(descriptor.interface):
                continue
            create = partial(_create_capability, descriptor, node)
            component = await start_optional(
                assembly.manager, lifespan, record, descriptor.name, create
            )
            if component is not None:
                node.capabilities.provide(descriptor.interface, component)


def _create_capability(descriptor: CapabilityDescriptor, node: Node) -> Component:
    capability = create_with_required(descriptor, node)
    if not isinstance(capability, descriptor.interface):
        raise TypeError(f"it is no {interface_name(descriptor.interface)}: {capability!r:.100}")
    return capability
