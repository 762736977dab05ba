"""The authorizer, and breaking the glass, which it takes into account."""

import logging
from collections.abc import Mapping
from datetime import date
from typing import Final

from anyio import to_thread

from pacs_access_rules.conditions import EVERYTHING, NOTHING
from pacs_access_rules.config import AccessRulesConfig
from pacs_access_rules.overrides import Override, Overrides
from pacs_access_rules.policy import Policy, Rule, compose, person_of
from pacs_access_rules.reading import check_policy, policy_of
from pacs_core.contracts import (
    Access,
    Allow,
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditTrail,
    AuditValue,
    Authorizer,
    Component,
    Deny,
    EventAction,
    Level,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Restrict,
    Setup,
    Verdict,
)
from pacs_core.dataset import keyword_of

logger = logging.getLogger(__name__)

_ALERT: Final = AuditCode("110113", "DCM", "Security Alert")
STARTED: Final = PluginAuditKind(
    "access-rules.override-started",
    _ALERT,
    AuditCode("110127", "DCM", "Emergency Override Started"),
)
STOPPED: Final = PluginAuditKind(
    "access-rules.override-stopped",
    _ALERT,
    AuditCode("110138", "DCM", "Emergency Override Stopped"),
)
USED: Final = PluginAuditKind(
    "access-rules.emergency-access",
    _ALERT,
    AuditCode("110132", "DCM", "Use of Restricted Function"),
)
_REMEMBERED: Final = 4096
REASON: Final = (10, 500)
"""Characters that a reason has at least and at most."""


class Glass(Component):
    """Breaks the glass, and records that; shared by authorizer, pages and commands of a node.

    Parameters
    ----------
    audit : AuditTrail
    overrides : Overrides
    config : AccessRulesConfig
    """

    def __init__(self, audit: AuditTrail, overrides: Overrides, config: AccessRulesConfig) -> None:
        self._audit, self.overrides, self._config = audit, overrides, config

    async def reconfigure(self, setup: Setup) -> None:
        """Go on with another policy."""
        self._config = setup.config(AccessRulesConfig)

    @property
    def policy(self) -> Policy:
        """The policy as it is now; empty without a file."""
        return policy_of(self._config.policy) if self._config.policy else Policy(())

    async def break_for(
        self, principal: str, reason: str, origin: Origin, minutes: int
    ) -> Override:
        """Let rules for emergencies hold for somebody.

        Raises
        ------
        ValueError
            The reason is none.
        AuditFailedError
            It could not be recorded: the glass is whole.
        """
        reason = " ".join(reason.split())
        if not REASON[0] <= len(reason) <= REASON[1] or not reason.isprintable():
            raise ValueError("say why, in {} to {} printable characters".format(*REASON))
        details: dict[str, AuditValue] = {"reason": reason, "minutes": minutes}
        await self._record(STARTED, origin, details, principal)
        return self.overrides.add(principal, reason, origin.user, origin.host, minutes)

    async def mend_for(self, principal: str, origin: Origin) -> bool:
        """End the override of somebody; return whether there was one."""
        ended = self.overrides.end(principal)
        if ended:
            await self._record(STOPPED, origin, {}, principal)
        return ended

    async def record_use(self, access: Access, override: Override) -> None:
        """Record that somebody does what rules for emergencies allow."""
        details: dict[str, AuditValue] = {
            "action": str(access.action),
            "override": override.number,
            "reason": override.reason,
        }
        if access.what.destination:
            details["destination"] = access.what.destination
        await self._record(USED, access.origin, details, override.principal)

    async def _record(
        self,
        kind: PluginAuditKind,
        origin: Origin,
        details: Mapping[str, AuditValue],
        principal: str,
    ) -> None:
        objects = (AuditObject(AuditObjectKind.USER, principal),)
        await self._audit.record(
            AuditEvent(
                kind, Outcome.SUCCESS, origin, details, action=EventAction.EXECUTE, objects=objects
            )
        )


class RulesAuthorizer(Authorizer):
    """Judges by the policy.

    Parameters
    ----------
    node : Node
    config : AccessRulesConfig
    glass : Glass
    """

    def __init__(self, node: Node, config: AccessRulesConfig, glass: Glass) -> None:
        self._node, self._config, self._glass = node, config, glass
        self._policy = Policy(())
        self._recorded: dict[tuple[int, str, str], None] = {}

    async def start(self) -> None:
        """Read the policy.

        Raises
        ------
        RuntimeError
            It is about attributes that the index does not keep.
        """
        self._use(self._config)

    async def reconfigure(self, setup: Setup) -> None:
        """Judge by another policy from now on.

        Raises
        ------
        ValueError
            As of :meth:`start`; the former stays.
        """
        self._use(setup.config(AccessRulesConfig))

    def _use(self, config: AccessRulesConfig) -> None:
        policy = policy_of(config.policy) if config.policy else Policy(())
        if problems := unknown_to_index(self._node, policy):
            raise ValueError("; ".join(problems))
        for warning in check_policy(policy):
            logger.warning("%s: %s", config.policy, warning)
        self._config, self._policy = config, policy

    async def authorize(self, access: Access) -> Verdict:
        """Judge an access."""
        rules = self._policy.applicable(access)
        override = None
        if any(rule.emergency for rule in rules):
            person = person_of(access.origin)
            override = await to_thread.run_sync(self._glass.overrides.active, person)
            rules = rules if override else tuple(rule for rule in rules if not rule.emergency)
        verdict = judge(rules)
        if override is not None and not isinstance(verdict, Deny):
            await self._record_use(access, override)
        return verdict

    async def _record_use(self, access: Access, override: Override) -> None:
        """Record the use of an override: once for an action of an association, or a request."""
        key = (override.number, access.origin.association, str(access.action))
        if key in self._recorded:
            return
        await self._glass.record_use(access, override)
        self._recorded[key] = None
        if len(self._recorded) > _REMEMBERED:
            del self._recorded[next(iter(self._recorded))]


def judge(rules: tuple[Rule, ...]) -> Verdict:
    """Return what rules come to that are about an access."""
    restriction = compose(rules, date.today())
    if restriction is EVERYTHING:
        return Allow()
    if restriction is NOTHING:
        return Deny("no rule allows it")  # the peer hears it: which rule, is for `access explain`
    return Restrict((restriction,))


def unknown_to_index(node: Node, policy: Policy) -> list[str]:
    """Return which rules are about what the index does not keep; none without an archive."""
    try:
        known = node.archive.searchable_tags(Level.IMAGE)
    except LookupError:
        return []
    return [
        f"{rule}: the index keeps no {', '.join(sorted(map(keyword_of, missing)))}"
        for rule in policy.rules
        if (missing := rule.objects.tags - known)
    ]
