"""Deletion guards that plugins register: started with what they require, and installed."""

from collections.abc import Mapping, Sequence
from functools import partial

from attrs import frozen

from pacs_core.app.assembly import Assembly
from pacs_core.app.capabilities import create_with_required, start_capabilities
from pacs_core.app.lifespan import Lifespan, start_optional
from pacs_core.archive import DeletionGuards
from pacs_core.contracts import (
    DeletionGuard,
    DeletionGuardDescriptor,
    Node,
    Origin,
    StoredInstance,
)


@frozen
class _NotRunning(DeletionGuard):
    """Stands for a guard that did not start: what it would have held is not known."""

    reason: str

    async def find_holds(
        self, instances: Sequence[StoredInstance], origin: Origin
    ) -> Mapping[str, str]:
        held = f"it does not run: {self.reason}"
        return {each.identity.sop_instance_uid: held for each in instances}


async def start_guards(
    assembly: Assembly, lifespan: Lifespan, node: Node, guards: DeletionGuards, *, serving: bool
) -> None:
    """Start the guards; if the node does not serve, when they are first asked.

    One that does not start lets nothing be deleted, but is no reason to store nothing either.
    """

    async def start() -> dict[str, DeletionGuard]:
        found: dict[str, DeletionGuard] = {}
        for record, descriptor in assembly.registry.entries(DeletionGuardDescriptor):
            await start_capabilities(assembly, lifespan, node, descriptor.requires)
            create = partial(create_with_required, descriptor, node)
            name = f"deletion guard {descriptor.name}"
            guard = await start_optional(assembly.manager, lifespan, record, name, create)
            found[descriptor.name] = guard or _NotRunning(record.reason)
        return found

    guards.start_with(start)
    if serving:
        await guards.start()
