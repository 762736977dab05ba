"""Access rules of pacs-core: who may do what with which instances, in a file of ordered rules."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pacs_access_rules.config import AccessRulesConfig
from pacs_core.contracts import (
    AccessDescriptor,
    Authorizer,
    CapabilityDescriptor,
    CliCommandDescriptor,
    ControlDescriptor,
    ControlHandler,
    Hooks,
    Node,
    SecurityFinding,
    SecurityStatement,
    Setup,
)
from pacs_core.plugins import hookimpl

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

    from pacs_access_rules.control import BreakGlass, Broken, Mended, MendGlass

__all__ = [
    "AccessRulesConfig",
    "pacs_access",
    "pacs_capabilities",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_conformance",
    "pacs_control",
    "pacs_security_findings",
    "pacs_web_routes",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.access-rules]``."""
    return AccessRulesConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with the policy."""
    from pacs_access_rules.reading import PolicyError, policy_of

    policy = setup.config(AccessRulesConfig).policy
    try:
        if policy is not None:
            policy_of(policy)
    except PolicyError as error:
        return list(error.problems)
    return []


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return the authorizer, if there is a policy."""
    config = setup.config(AccessRulesConfig)
    if config.policy is None:
        return []

    def create(node: Node) -> Authorizer:
        from pacs_access_rules.authorizer import Glass, RulesAuthorizer
        from pacs_access_rules.overrides import Overrides

        glass = Glass(node.audit, Overrides(setup.directory), config)
        return RulesAuthorizer(node, config, glass)

    return [AccessDescriptor("access-rules", authorizer=create)]


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return where the policy gives more than its author can have meant."""
    from pacs_access_rules.weaknesses import find_weaknesses

    return list(find_weaknesses(setup.config(AccessRulesConfig).policy))


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return what breaks the glass, for pages and commands."""
    config = setup.config(AccessRulesConfig)
    if config.policy is None:
        return []
    from pacs_access_rules.authorizer import Glass
    from pacs_access_rules.overrides import Overrides

    return [
        CapabilityDescriptor(
            "access-rules-glass",
            Glass,
            lambda node: Glass(node.audit, Overrides(setup.directory), config),
            always=True,
        )
    ]


@hookimpl
def pacs_control(setup: Setup) -> list[ControlDescriptor]:
    """Return the operations with which an operator breaks the glass for somebody, and mends it."""
    if setup.config(AccessRulesConfig).policy is None:
        return []
    from pacs_access_rules.authorizer import Glass
    from pacs_access_rules.control import BREAK, MEND, Breaker, Mender

    def breaker(node: Node) -> "ControlHandler[BreakGlass, Broken]":
        return Breaker(node.find(Glass))

    def mender(node: Node) -> "ControlHandler[MendGlass, Mended]":
        return Mender(node.find(Glass))

    return [
        ControlDescriptor(BREAK, breaker, "Break the glass for somebody.", requires=(Glass,)),
        ControlDescriptor(MEND, mender, "End an override.", requires=(Glass,)),
    ]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return the page on which people break the glass, if rules are for emergencies."""
    from pacs_access_rules.reading import policy_of

    policy = setup.config(AccessRulesConfig).policy
    if policy is None or not any(rule.emergency for rule in policy_of(policy).rules):
        return []
    from pacs_access_rules.pages import descriptor

    return [descriptor()]


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of security."""
    from pacs_access_rules.conformance import state_security
    from pacs_access_rules.reading import policy_of

    policy = setup.config(AccessRulesConfig).policy
    return [] if policy is None else list(state_security(policy_of(policy)))


def _load(name: str) -> Callable[[], Callable[..., int | None]]:
    def load() -> Callable[..., int | None]:
        from pacs_access_rules import commands

        command: Callable[..., int | None] = getattr(commands, name)
        return command

    return load


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the commands."""
    return [
        CliCommandDescriptor("access check", "Check the rules.", _load("check")),
        CliCommandDescriptor("access explain", "Say which rule decides.", _load("explain")),
        CliCommandDescriptor(
            "access override", "Break the glass for somebody, or mend it.", _load("override")
        ),
        CliCommandDescriptor("access overrides", "List who broke the glass.", _load("overrides")),
    ]
