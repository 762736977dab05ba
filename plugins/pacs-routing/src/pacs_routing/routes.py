"""Routes of a node: what its rules say of an instance, and where that goes."""

import time
from collections.abc import Iterator
from datetime import datetime
from zlib import crc32

from attrs import evolve, frozen

from pacs_core.contracts import (
    Component,
    DicomWebPeer,
    Level,
    Node,
    Peer,
    Setup,
    StoredInstance,
)
from pacs_core.dataset import keyword_of
from pacs_routing.auditing import count_given_up
from pacs_routing.config import RoutingConfig
from pacs_routing.interface import Deliveries, Delivery, Wanted
from pacs_routing.rules import Rule, read_rules


@frozen
class Choice:
    """What a rule makes of an instance for a peer; `obstacle` says why it does not go there."""

    rule: Rule
    peer: str
    obstacle: str = ""


class Routes(Component):
    """The rules as they are now; a reload gives others.

    Parameters
    ----------
    node : Node
    setup : Setup
    """

    def __init__(self, node: Node, setup: Setup) -> None:
        self.node = node
        self.config = setup.config(RoutingConfig)
        self.rules = read_rules(self.config, setup.settings)

    async def start(self) -> None:
        """Look whether the index has what the rules are about."""
        self._check_tags(self.rules)
        for peer in {peer for rule in self.config.rules.values() for peer in rule.to}:
            # A monitor sees that a counter has gone up only if it was there before.
            count_given_up(self.node.meter).add(0, peer=peer)

    async def reconfigure(self, setup: Setup) -> None:
        """Take other rules, or refuse them."""
        config = setup.config(RoutingConfig)
        rules = read_rules(config, setup.settings)
        self._check_tags(rules)
        self.config, self.rules = config, rules
        if self.node.capabilities.provides(Deliveries):
            # What waits for the time of a rule may have other times now.
            await self.node.find(Deliveries).wake(sooner=True)

    def _check_tags(self, rules: tuple[Rule, ...]) -> None:
        tags = self.node.archive.searchable_tags(Level.IMAGE) if rules else frozenset()
        for rule in rules:
            if unknown := sorted(rule.tags - tags):
                names = ", ".join(keyword_of(tag) or f"{tag:08X}" for tag in unknown)
                raise ValueError(f"rules.{rule.name}: the index does not keep {names}")

    def rules_on(self, event: str) -> Iterator[Rule]:
        """Iterate over the rules for each ``"instance"``, or for a ``"study"`` that is complete."""
        return (rule for rule in self.rules if rule.config.on == event)

    def find_peer(self, name: str, deidentify: str = "") -> Peer | DicomWebPeer | None:
        """Return a peer as a delivery means it; an application entity, if it is both."""
        settings = self.node.settings
        if (peer := settings.peers.get(name)) is None:
            return settings.dicomweb_peers.get(name)
        return evolve(peer, deidentify=deidentify) if deidentify else peer

    def choose(self, rule: Rule, source: str) -> Iterator[Choice]:
        """Iterate over the peers of a rule that applies, for what came from an AE title."""
        for name in rule.config.to:
            peer = self.node.settings.peers.get(name)
            # What a peer has sent does not go back to it: two archives would never end.
            came_from_it = peer is not None and peer.ae_title == source
            yield Choice(rule, name, f"it came from {source}" if came_from_it else "")

    def want(self, choice: Choice, instance: StoredInstance) -> Wanted:
        """Return the delivery that follows from a choice."""
        config = choice.rule.config
        return Wanted(
            instance,
            choice.peer,
            choice.rule.name,
            self.lane_of(choice.peer, instance.identity.study_instance_uid),
            config.deidentify,
            config.priority,
            config.ordered,
            config.commit,
            self._opens(choice.rule),
        )

    def _opens(self, rule: Rule) -> float:
        if not (rule.config.hours or rule.config.days):
            return 0.0
        now = datetime.now().astimezone()
        opens = rule.times.next_open(now)
        return opens.timestamp() if opens > now else 0.0

    def lane_of(self, peer: str, study_uid: str) -> int:
        """Return in which lane of a peer a study goes."""
        counts = (rule.config.associations for rule in self.rules if peer in rule.config.to)
        return crc32(study_uid.encode()) % max(counts, default=1)

    def closed(self) -> dict[str, float]:
        """Return the rules whose time it is not, and when that comes."""
        now = datetime.now().astimezone()
        opens = ((rule.name, rule.times.next_open(now)) for rule in self.rules)
        return {name: moment.timestamp() for name, moment in opens if moment > now}

    def pause_after(self, delivery: Delivery) -> float:
        """Return when a delivery that failed is to be tried again."""
        longest, exponent = self.config.longest_pause, min(delivery.attempts, 60)
        return time.time() + min(self.config.first_pause * 2.0**exponent, longest)
