"""Policies: rules in order, of which the first that fits decides."""

from collections.abc import Iterable, Sequence
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import groupby
from typing import Final

from attrs import field, frozen

from pacs_access_rules.conditions import EVERYTHING, NOTHING, Objects
from pacs_core.contracts import (
    Access,
    AccessAction,
    AllOf,
    Either,
    Not,
    Origin,
    Restriction,
    wildcard_pattern,
)

# Theory of operation
#
# Which rules are about an access is known when it is asked for: who, what, whither. On which
# instances it is carried out is not; that is for the index to find out. So the rules that are about
# it become one restriction, which says of every instance what the first rule that is about that
# instance would say. An instance is permitted if the first quarter of the rules permits it, or if
# the second does and nothing in the first denies it, and so on:
#
#     allow A, deny B, allow C, deny D, allow E   ->   A, or C but not B, or E but neither B nor D
#
# By quarters of quarters, because a rule within the one before it, and so on, would soon be deeper
# than the parser of a database goes, and all that denies, repeated with each rule that allows, be
# too long. Quarters repeat little more than halves would, and are half as deep.
#
# If everything comes out of it the access is allowed, if nothing, it is denied; else it is
# restricted.

Network = IPv4Network | IPv6Network

_PARTS: Final = 4

OBJECT_ACTIONS: Final = frozenset(AccessAction) - {AccessAction.ECHO}
"""Actions of the kernel that are about instances: those that conditions can restrict."""

UNPROVEN: Final = frozenset({"ae-title", "username"})
"""Methods by which anybody can take the name of somebody who has broken the glass."""


def fits(patterns: Iterable[str], text: str) -> bool:
    """Tell whether a text fits one of some patterns with ``*`` and ``?``; no text fits none."""
    return bool(text) and any(wildcard_pattern(each).fullmatch(text) for each in patterns)


def person_of(origin: Origin) -> str:
    """Return the name for which an override may hold; empty if nothing proves who it is."""
    principal = origin.principal
    return principal.name if principal and principal.method not in UNPROVEN else ""


@frozen
class Who:
    """Who acts, and from where: all that is given holds, of each list one is enough.

    Attributes
    ----------
    principal, role, method, ae_title, interface : tuple of str
        Patterns with ``*`` and ``?``. `ae_title` is the calling one.
    network : tuple of networks
        In which the address of the peer is.
    """

    principal: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    ae_title: tuple[str, ...] = ()
    interface: tuple[str, ...] = ()
    network: tuple[Network, ...] = ()

    def covers(self, origin: Origin) -> bool:
        """Tell whether somebody is meant."""
        principal = origin.principal
        texts = (
            (self.principal, (principal.name,) if principal else ()),
            (self.role, principal.roles if principal else ()),
            (self.method, (principal.method,) if principal else ()),
            (self.ae_title, (origin.calling_ae_title,)),
            (self.interface, (origin.interface,)),
        )
        for patterns, values in texts:
            if patterns and not any(fits(patterns, value) for value in values):
                return False
        return not self.network or self._is_inside(origin.host)

    def _is_inside(self, host: str) -> bool:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # how a dual-stack socket names IPv4 peers
        return any((mapped or address) in network for network in self.network)


@frozen
class Rule:
    """What some may do, or may not.

    Attributes
    ----------
    number : int
        From 1, in the order of the file.
    line : int
        Where it begins; 0 if that cannot be told.
    name : str
    who : Who
    actions : tuple of str
        Patterns with ``*``.
    allows : bool
    destinations : tuple of str
        AE titles, or patterns for them, to which instances may go; empty for any.
    objects : Objects
    emergency : bool
        Whether it holds only for those who have broken the glass.
    """

    number: int
    line: int
    name: str
    who: Who
    actions: tuple[str, ...]
    allows: bool
    destinations: tuple[str, ...] = ()
    objects: Objects = field(factory=Objects)
    emergency: bool = False

    def covers(self, access: Access) -> bool:
        """Tell whether it is about an access, whatever the instances are."""
        return (
            self.names(str(access.action))
            and self._permits(access)
            and self.who.covers(access.origin)
        )

    def names(self, action: str) -> bool:
        """Tell whether it is about an action.

        ``*`` with conditions means what is about instances, as far as that is known: of an action
        of a plugin it is not.
        """
        if action in self.actions or fits((a for a in self.actions if a != "*"), action):
            return True
        return "*" in self.actions and (self.objects.is_all or action in OBJECT_ACTIONS)

    def _permits(self, access: Access) -> bool:
        destination = access.what.destination
        if not self.destinations or (not destination and access.action != AccessAction.MOVE):
            return True
        return fits(self.destinations, destination)

    def __str__(self) -> str:
        """Return how messages name it."""
        where = f" (line {self.line})" if self.line else ""
        return f"rule {self.number}{where}{f' {self.name!r}' if self.name else ''}"


@frozen
class Policy:
    """Rules in order.

    Attributes
    ----------
    rules : tuple of Rule
    emergency_minutes : int
        How long it takes until broken glass is whole again.
    """

    rules: tuple[Rule, ...]
    emergency_minutes: int = 60

    @property
    def tags(self) -> frozenset[int]:
        """Tags of the attributes on which rules depend."""
        return frozenset[int]().union(*(rule.objects.tags for rule in self.rules))

    def applicable(self, access: Access) -> tuple[Rule, ...]:
        """Return the rules that are about an access, up to the first that is about all instances.

        Those for emergencies are among them.
        """
        found = []
        for rule in self.rules:
            if rule.covers(access):
                found.append(rule)
                if rule.objects.is_all and not rule.emergency:
                    break
        return tuple(found)

    def may_break_glass(self, origin: Origin) -> bool:
        """Tell whether there is a rule for emergencies that is about somebody."""
        return bool(person_of(origin)) and any(
            rule.emergency and rule.who.covers(origin) for rule in self.rules
        )


def compose(rules: Sequence[Rule], today: date) -> Restriction:
    """Return what the first of some rules that is about an instance says of it.

    Returns
    -------
    Restriction
        Exactly :data:`EVERYTHING` or :data:`NOTHING`, if it is one of these.
    """
    groups: list[_Group] = []
    for allows, group in groupby(rules, key=lambda rule: rule.allows):
        abouts: list[Restriction] = []
        for rule in group:
            abouts.append(EVERYTHING if rule.objects.is_all else rule.objects.restriction(today))
            if rule.objects.is_all:
                break
        groups.append((allows, _any_of(abouts)))
        if EVERYTHING in abouts:
            break
    return _compose_groups(groups)


_Group = tuple[bool, Restriction]
"""Rules in a row that say the same: whether they allow, and what they are about."""


def _compose_groups(groups: Sequence[_Group]) -> Restriction:
    if len(groups) < 2:
        return next((about for allows, about in groups if allows), NOTHING)
    size = -(-len(groups) // _PARTS)
    found: list[Restriction] = []
    denied: list[Restriction] = []
    for start in range(0, len(groups), size):
        part = groups[start : start + size]
        permitted = _compose_groups(part)
        if permitted is not NOTHING and denied:
            others = Not(_any_of(denied))
            permitted = others if permitted is EVERYTHING else AllOf((permitted, others))
        found += [] if permitted is NOTHING else [permitted]
        denied += [about for allows, about in part if not allows]
    return _any_of(found)


def _any_of(restrictions: Sequence[Restriction]) -> Restriction:
    if EVERYTHING in restrictions:
        return EVERYTHING
    if len(restrictions) < 2:
        return restrictions[0] if restrictions else NOTHING
    return Either(tuple(restrictions))
