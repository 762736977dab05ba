"""Common parts of the handlers of all jobs of lifecycle."""

from attrs import define
from pacs_jobs.api import JobHandler

from pacs_core.contracts import Node, Setup
from pacs_lifecycle.config import LifecycleConfig


@define(eq=False)
class LifecycleHandler(JobHandler):
    """A handler that knows its node, and what is configured.

    Parameters
    ----------
    node : Node
    config : LifecycleConfig
    """

    node: Node
    config: LifecycleConfig

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings the next time."""
        self.config = setup.config(LifecycleConfig)
