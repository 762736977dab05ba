"""The deletion bin that a plugin offers as a capability: started when it is first needed."""

from pacs_core.app.assembly import Assembly
from pacs_core.app.capabilities import start_capabilities
from pacs_core.app.lifespan import Lifespan
from pacs_core.archive import BinNotRunningError, NodeBin
from pacs_core.contracts import DeletionBin, Node


def prepare_bin(assembly: Assembly, lifespan: Lifespan, node: Node, waiting_bin: NodeBin) -> None:
    """Let the bin be started with the first question.

    While one that is there does not run, nothing is deleted: it could not be had back.
    """

    async def start() -> DeletionBin | None:
        try:
            providers = assembly.registry.providers(DeletionBin)
        except LookupError:
            return None
        await start_capabilities(assembly, lifespan, node, (DeletionBin,))
        if not node.capabilities.provides(DeletionBin):
            reasons = "; ".join(filter(None, (record.reason for record, _ in providers)))
            raise BinNotRunningError(f"the deletion bin does not run: {reasons}")
        return node.find(DeletionBin)

    waiting_bin.start_with(start)
