"""Instances that were committed to, kept from being deleted (PS3.4 J.1)."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pacs_core.contracts import DeletionGuard, Node, Origin, Setup, StoredInstance
from pacs_sop_storage_commitment.config import StorageCommitmentConfig
from pacs_sop_storage_commitment.interface import Promise, Transactions

_DAY: Final = 24 * 3600.0

# Theory of operation
#
# An instance is promised from the moment at which a request that names it is noted, before it is
# looked at: who deletes it after that look meets the promise, and who has deleted it before has
# left nothing to be found. What turns out not to be here is no longer promised.


class CommitmentGuard(DeletionGuard):
    """Holds what was committed to, and what somebody waits to hear about.

    Parameters
    ----------
    node : Node
    config : StorageCommitmentConfig
    """

    def __init__(self, node: Node, config: StorageCommitmentConfig) -> None:
        self._node = node
        self._config = config

    async def start(self) -> None:
        """See base."""
        self._transactions = self._node.find(Transactions)

    async def reconfigure(self, setup: Setup) -> None:
        """Go by another time for which instances are held."""
        self._config = setup.config(StorageCommitmentConfig)

    async def find_holds(
        self, instances: Sequence[StoredInstance], origin: Origin
    ) -> Mapping[str, str]:
        """See base."""
        earliest = time.time() - self._config.protect_for * _DAY
        uids = [instance.identity.sop_instance_uid for instance in instances]
        promises = await self._transactions.promises(uids)
        return {
            uid: _describe(promise)
            for uid, promise in promises.items()
            if promise.is_asked_for or promise.since > earliest
        }


def _describe(promise: Promise) -> str:
    if promise.is_asked_for:
        return f"{promise.peer} has asked for commitment"
    day = datetime.fromtimestamp(promise.since).astimezone().date()
    return f"committed to {promise.peer} on {day}"
