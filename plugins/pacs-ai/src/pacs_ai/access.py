"""Authorizer: what a service may see, and who assesses results, and sees them before that."""

from typing import Final

from pacs_ai.config import AiConfig
from pacs_ai.desk import AiDesk
from pacs_ai.tokens import METHOD, REQUEST_CLAIM
from pacs_core.contracts import (
    Access,
    AccessAction,
    Allow,
    Authorizer,
    Deny,
    Node,
    Not,
    Origin,
    Restrict,
    UidList,
    Verdict,
)
from pacs_core.dataset import tag_of

ASSESS: Final = "ai.assess"
"""Action that authorizers are asked for of who wants to assess results."""
_READING: Final = frozenset({AccessAction.QUERY, AccessAction.RETRIEVE, AccessAction.MOVE})
_SERIES, _INSTANCE = tag_of("SeriesInstanceUID"), tag_of("SOPInstanceUID")
_MOST_HIDDEN: Final = 10_000


class AiAuthorizer(Authorizer):
    """Restricts services to what they were asked about, and assessments to those who may make them.

    Who may not does not see either, if that is wanted, what nobody has assessed.

    Parameters
    ----------
    node : Node
    config : AiConfig
    """

    def __init__(self, node: Node, config: AiConfig) -> None:
        self._node = node
        self._config = config
        self._hides = any(each.unassessed == "hide" for each in config.services.values())

    async def authorize(self, access: Access) -> Verdict:
        """See base."""
        principal = access.origin.principal
        if principal is not None and principal.method == METHOD:
            return await self._authorize_service(access, principal.claims[REQUEST_CLAIM])
        if access.action == ASSESS:
            if not self._config.assessors or self._is_assessor(access.origin):
                return Allow()
            return Deny("assessors of [plugin.ai] does not name who asks, nor a role of theirs")
        if not self._hides or access.action not in _READING or self._is_assessor(access.origin):
            return Allow()
        services = self._config.services.items()
        marked = [name for name, each in services if each.unassessed == "mark"]
        hidden = await self._node.find(AiDesk).records.hidden_uids(marked, _MOST_HIDDEN + 1)
        if len(hidden) > _MOST_HIDDEN:
            return Deny(f"more than {_MOST_HIDDEN} results have not been assessed")
        return Restrict((Not(UidList(_INSTANCE, hidden)),)) if hidden else Allow()

    def _is_assessor(self, origin: Origin) -> bool:
        roles = origin.principal.roles if origin.principal is not None else frozenset()
        return not roles.isdisjoint(self._config.assessors) or any(
            name in self._config.assessors
            for name in (origin.user, origin.calling_ae_title)
            if name
        )

    async def _authorize_service(self, access: Access, number: str) -> Verdict:
        if access.action == AccessAction.STORE:
            return Allow()  # what it stores is a result, whatever it says
        if access.action not in _READING:
            return Deny("the token is for reading what was asked about, and for results")
        request = await self._node.find(AiDesk).records.find(int(number))
        series = tuple(sorted({each.series_uid for each in request.inputs}))
        return Restrict((UidList(_SERIES, series),))
