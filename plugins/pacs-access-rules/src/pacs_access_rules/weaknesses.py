"""Weaknesses of a policy, for ``pacs doctor security``."""

from collections.abc import Iterator
from typing import Final

from pacs_access_rules.policy import Rule, Who
from pacs_access_rules.reading import PolicyError, policy_of
from pacs_core.contracts import AccessAction, ConfigFile, SecurityFinding, Severity

_CHANGES: Final = (AccessAction.DELETE, AccessAction.UPDATE)


def find_weaknesses(policy: ConfigFile | None) -> Iterator[SecurityFinding]:
    """Iterate over what is weak; a policy that cannot be read is a matter of ``config check``."""
    if policy is None:
        return  # that there is no authorizer is known
    try:
        rules = policy_of(policy).rules
    except PolicyError:
        return
    for rule in rules:
        if rule.allows and not rule.emergency:
            yield from _of_rule(rule, f"line {rule.line} of {policy.path}")


def _of_rule(rule: Rule, where: str) -> Iterator[SecurityFinding]:
    changes = [action for action in _CHANGES if rule.names(action)]
    if rule.who == Who():
        if "*" in rule.actions and rule.objects.is_all:
            what = f"{where} lets anybody do everything that no rule before it denies"
            yield SecurityFinding(Severity.HIGH, what, "say who, or which actions")
        elif changes:
            what = f"{where} lets anybody {' and '.join(changes)}"
            yield SecurityFinding(Severity.HIGH, what, "say who")
    elif changes and rule.who == Who(ae_title=rule.who.ae_title):
        what = f"{where} lets whoever calls itself so {' and '.join(changes)}"
        action = "ask for what proves it: a principal, a role, a method such as tls, or a network"
        yield SecurityFinding(Severity.MEDIUM, what, action)
