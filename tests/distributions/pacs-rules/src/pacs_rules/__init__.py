"""Who may do what with which instances, in a table of rules: a small authorizer."""

from attrs import field, frozen

from pacs_core.contracts import (
    Access,
    AccessDescriptor,
    AllOf,
    Allow,
    AnyOf,
    Authenticated,
    Authenticator,
    Authorizer,
    Deny,
    Either,
    Level,
    Node,
    Origin,
    Principal,
    Restrict,
    Setup,
    SingleValue,
    UidList,
    Verdict,
)
from pacs_core.dataset import tag_of
from pacs_core.plugins import hookimpl
from pacs_core.upper_layer import AssociateRQ

MODALITY = tag_of("Modality")
STUDY = tag_of("StudyInstanceUID")


@frozen
class Rule:
    """What some may do.

    Attributes
    ----------
    who : tuple of str
        AE titles, or roles.
    may : tuple of str
        Actions.
    modalities, studies : tuple of str
        With instances of these only; empty for all.
    destinations : tuple of str
        AE titles to which instances may be moved.
    """

    who: tuple[str, ...]
    may: tuple[str, ...]
    modalities: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()

    def covers(self, access: Access) -> bool:
        """Whether the rule is about an access."""
        principal = access.origin.principal
        names = {principal.name, *principal.roles} if principal else set()
        destination = access.what.destination
        return (
            not names.isdisjoint(self.who)
            and access.action in self.may
            and (not destination or destination in self.destinations)
        )

    def condition(self) -> AllOf:
        """Return what holds for the instances that the rule is about."""
        conditions = []
        if self.modalities:
            values = tuple(SingleValue(MODALITY, modality) for modality in self.modalities)
            conditions.append(AnyOf(MODALITY, values))
        if self.studies:
            conditions.append(UidList(STUDY, self.studies))
        return AllOf(tuple(conditions))


@frozen
class Config:
    """The table ``[plugin.rules]``.

    Attributes
    ----------
    roles : dict of str to tuple of str
        By AE title.
    rule : tuple of Rule
        What no rule allows is denied.
    """

    roles: dict[str, tuple[str, ...]] = field(factory=dict)
    rule: tuple[Rule, ...] = ()


class AETitles(Authenticator):
    """Takes the calling AE title for a name, as far as it is in the table."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def authenticate(self, request: AssociateRQ, origin: Origin) -> Authenticated:
        """Let everybody in: what they may do is up to the rules."""
        title = origin.calling_ae_title
        roles = frozenset(self._config.roles.get(title, ()))
        return Authenticated(Principal(title, roles, "ae-title"))


class Rules(Authorizer):
    """Allows what some rule allows, with the instances of all such rules together."""

    def __init__(self, node: Node, config: Config) -> None:
        self._node = node
        self._config = config

    async def start(self) -> None:
        """Refuse to guard an archive that does not know what rules are about."""
        if not {MODALITY, STUDY} <= self._node.archive.searchable_tags(Level.IMAGE):
            raise RuntimeError("the index keeps no Modality")

    async def authorize(self, access: Access) -> Verdict:
        """Judge an access."""
        rules = [rule for rule in self._config.rule if rule.covers(access)]
        if not rules:
            return Deny("no rule allows it")
        conditions = tuple(rule.condition() for rule in rules)
        return Allow() if AllOf(()) in conditions else Restrict((Either(conditions),))


@hookimpl
def pacs_config() -> type:
    """Return the class of the table."""
    return Config


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return both guards."""
    config = setup.config(Config)
    return [
        AccessDescriptor(
            "rules",
            authenticator=lambda node: AETitles(config),
            authorizer=lambda node: Rules(node, config),
        )
    ]
