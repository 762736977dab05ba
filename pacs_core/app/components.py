"""Components that plugins register, started one by one: what fails is quarantined."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pacs_core.app.assembly import Assembly
from pacs_core.app.lifespan import Lifespan, StartError
from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumerDescriptor,
    Component,
    ControlDescriptor,
    EventHandlerDescriptor,
    Node,
    ServiceDescriptor,
    ServiceProviderDescriptor,
    interface_name,
)
from pacs_core.plugins import Fault, PluginRecord, PluginState

RequiringDescriptor = (
    CapabilityDescriptor
    | ChangeConsumerDescriptor
    | ControlDescriptor
    | EventHandlerDescriptor
    | ServiceDescriptor
    | ServiceProviderDescriptor
)


async def start_optional(
    assembly: Assembly,
    lifespan: Lifespan,
    record: PluginRecord,
    name: str,
    create: Callable[[], Component],
) -> Any:
    """Start a component that the node can do without; quarantine its plugin if it fails.

    Returns
    -------
    Component or None
        None if it does not run, or if its plugin was quarantined before.

    Raises
    ------
    PluginError
        The node was configured not to do without it.
    """
    if record.state is not PluginState.LOADED:
        return None
    try:
        return await lifespan.start(f"{name} ({record.source})", create, record.name)
    except StartError as error:
        assembly.manager.quarantine(record, Fault.START, str(error), error.__cause__)
        assembly.manager.check_required()
        return None


async def start_guard(
    lifespan: Lifespan, record: PluginRecord, name: str, create: Callable[[], Component]
) -> Any:
    """Start what guards access: it must not leave the door open if it does not start.

    Raises
    ------
    StartError
        It does not run.
    """
    label = f"{name} ({record.source})"
    if record.state is not PluginState.LOADED:
        raise StartError(f"{label} guards associations, but its plugin failed: {record.reason}")
    return await lifespan.start(label, create, record.name)


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
            component = await start_optional(assembly, lifespan, record, descriptor.name, create)
            if component is not None:
                node.capabilities.provide(descriptor.interface, component)


def _create_capability(descriptor: CapabilityDescriptor, node: Node) -> Component:
    capability = create_with_required(descriptor, node)
    if not isinstance(capability, descriptor.interface):
        raise TypeError(f"it is no {interface_name(descriptor.interface)}: {capability!r:.100}")
    return capability
