"""Warnings that somebody should look at: quotas that are exceeded, and objects that are damaged."""

import time
from collections.abc import Sequence

from attrs import define, field

from pacs_core.contracts import Node
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.interface import Findings, LifecycleWarnings
from pacs_lifecycle.quotas import Counting, Quota
from pacs_lifecycle.rules import DAY
from pacs_lifecycle.scrubbing import NAME as SCRUB


@define(eq=False)
class FoundWarnings(LifecycleWarnings):
    """Warns of quotas, and of faults that were found.

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
        found = await self.counting.excesses()
        if not self.config.finds_faults:
            return found
        findings = self.node.find(Findings)
        if counts := await findings.counts():
            faults = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
            found.append(f"objects are not what they should be ({faults}): pacs lifecycle faults")
        every, state = self.config.scrub.every * DAY, await findings.last(SCRUB)
        if every and state.began and not state.ended and time.time() - state.began > every:
            found.append(
                f"not all objects are read again within {self.config.scrub.every:g} days: "
                "let `rate` or `hours` of [plugin.lifecycle.scrub] be more"
            )
        return found
