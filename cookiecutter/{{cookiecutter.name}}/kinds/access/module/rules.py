"""What may be done: the rules, applied to each access."""

from pacs_core.contracts import (
    Access,
    Allow,
    AnyOf,
    Authorizer,
    Deny,
    Level,
    Node,
    Restrict,
    SingleValue,
    Verdict,
)
from pacs_core.dataset import tag_of

from {{ cookiecutter.__package }}.config import Config

_MODALITY = tag_of("Modality")


class Rules(Authorizer):
    """Allows what some rule allows, with the instances of all such rules together.

    Parameters
    ----------
    node : Node
    config : Config
    """

    def __init__(self, node: Node, config: Config) -> None:
        self._node = node
        self._rules = config.rule

    async def start(self) -> None:
        """Refuse to guard an archive whose index does not know what the rules are about."""
        limited = any(rule.modalities for rule in self._rules)
        if limited and _MODALITY not in self._node.archive.searchable_tags(Level.SERIES):
            raise LookupError("the index does not keep Modality: choose another")

    async def authorize(self, access: Access) -> Verdict:
        """See base."""
        principal = access.origin.principal
        name = principal.name if principal else ""
        found = [r for r in self._rules if name in r.peers and access.action in r.may]
        if not found:
            return Deny("no rule allows it")
        if not all(rule.modalities for rule in found):
            return Allow()
        modalities = sorted({each for rule in found for each in rule.modalities})
        values = tuple(SingleValue(_MODALITY, modality) for modality in modalities)
        return Restrict((AnyOf(_MODALITY, values),))
