"""Rules: whether an instance meets the conditions of one, and why.

Conditions are those of :mod:`pacs_core.api.conditions`: on attributes, which a query asks for, and
on who sent an instance, which comes with it.
"""

from collections.abc import Iterator

from attrs import frozen

from pacs_core.api.conditions import AttributeTest, read_test
from pacs_core.api.times import Times
from pacs_core.contracts import (
    AllOf,
    Either,
    NodeSettings,
    Not,
    Origin,
    Restriction,
    restricted_tags,
)
from pacs_core.dataset import Attributes, texts, vr_of
from pacs_routing.config import RoutingConfig, RuleConfig


@frozen
class Reason:
    """Why a rule applies, or does not: a condition, what was found, and whether that is right."""

    condition: str
    found: str
    is_met: bool


@frozen
class Rule:
    """A rule of the configuration, its conditions read.

    Attributes
    ----------
    name : str
    config : RuleConfig
    where, unless : tuple of AttributeTest
    times : Times
    """

    name: str
    config: RuleConfig
    where: tuple[AttributeTest, ...]
    unless: tuple[AttributeTest, ...]
    times: Times

    @property
    def restriction(self) -> Restriction:
        """What instances the rule is about, whoever sent them."""
        wanted = tuple(each for test in self.where for each in test.conditions)
        if not self.unless:
            return AllOf(wanted)
        unwanted = Either(tuple(AllOf(test.conditions) for test in self.unless))
        return AllOf((*wanted, Not(unwanted)))

    @property
    def tags(self) -> frozenset[int]:
        """Tags of the attributes that it depends on."""
        return restricted_tags((self.restriction,))

    def is_about(self, attributes: Attributes) -> bool:
        """Tell whether an instance meets its conditions, but for who sent it."""
        return all(test.holds(attributes) for test in self.where) and not any(
            test.holds(attributes) for test in self.unless
        )

    def reasons(self, attributes: Attributes, origin: Origin) -> Iterator[Reason]:
        """Iterate over its conditions, with what an instance has to them."""
        for tests, wanted, word in ((self.where, True, ""), (self.unless, False, "unless ")):
            for test in tests:
                found = "\\".join(texts(attributes, test.tag)) if vr_of(test.tag) != "SQ" else "..."
                met = test.holds(attributes) is wanted
                yield Reason(f"{word}{test.text}", found or "nothing", met)
        for condition, found, is_met in self.config.judge(origin):
            yield Reason(condition, found or "nothing", is_met)


def read_rules(config: RoutingConfig, settings: NodeSettings) -> tuple[Rule, ...]:
    """Return the rules.

    Raises
    ------
    ValueError
        The first thing that is wrong; :func:`problems_of` has all.
    """
    if problem := next(problems_of(config, settings), None):
        raise ValueError(problem)
    return tuple(
        Rule(
            name,
            each,
            tuple(read_test(*item) for item in each.where.items()),
            tuple(read_test(*item) for item in each.unless.items()),
            Times(each.hours, each.days),
        )
        for name, each in config.rules.items()
    )


def problems_of(config: RoutingConfig, settings: NodeSettings) -> Iterator[str]:
    """Iterate over all that is wrong with rules beyond their types."""
    for name, rule in config.rules.items():
        for peer in rule.to:
            if peer not in settings.peers and peer not in settings.dicomweb_peers:
                known = ", ".join(sorted({*settings.peers, *settings.dicomweb_peers})) or "none"
                yield f"rules.{name}.to: there is no peer {peer!r}; there are {known}"
            elif is_dicomweb(peer, settings):
                for key in ("deidentify", "commit"):
                    if getattr(rule, key):
                        yield f"rules.{name}.{key} is for peers with associations, not for {peer}"
        for table in ("where", "unless"):
            for key, value in getattr(rule, table).items():
                try:
                    read_test(key, value)
                except ValueError as error:
                    yield f"rules.{name}.{table}.{key}: {error}"


def is_dicomweb(peer: str, settings: NodeSettings) -> bool:
    """Tell whether a peer is sent to by DICOMweb: it has that, and is no application entity."""
    return peer in settings.dicomweb_peers and peer not in settings.peers
