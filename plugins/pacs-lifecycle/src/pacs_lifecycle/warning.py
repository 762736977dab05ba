"""What somebody should look at: quotas that are exceeded."""

from collections.abc import Sequence

from attrs import define, field

from pacs_core.contracts import Node
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.interface import LifecycleWarnings
from pacs_lifecycle.quotas import Counting, Quota


@define(eq=False)
class FoundWarnings(LifecycleWarnings):
    """Warns of quotas.

    Parameters
    ----------
    node : Node
    config : LifecycleConfig
    """

    node: Node
    config: LifecycleConfig
    counting: Counting = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.counting = Counting(self.node, Quota.read(self.config.quotas))

    async def warnings(self) -> Sequence[str]:
        """See base."""
        return await self.counting.excesses()
