"""Rules in the conformance statement."""

from collections.abc import Iterator

from pacs_access_rules.policy import Policy
from pacs_core.contracts import SecuritySection, SecurityStatement
from pacs_core.dataset import keyword_of


def state_security(policy: Policy) -> Iterator[SecurityStatement]:
    """Yield what rules there are, without whom they are about."""
    rules = policy.rules
    names = ", ".join(sorted(map(keyword_of, policy.tags)))
    restricted = (
        f"Some depend on attributes of instances ({names}): what a peer may not see is in no "
        "response, and in no count."
        if names
        else "None depends on attributes of instances."
    )
    emergency = (
        f"Access in an emergency can be had for {policy.emergency_minutes} minutes, with a "
        "reason, and is recorded."
        if any(rule.emergency for rule in rules)
        else "There is no access in an emergency beside the rules."
    )
    yield SecurityStatement(
        SecuritySection.APPLICATION,
        (
            f"Requests of both DIMSE and HTTP go by {len(rules)} ordered rules, the first of which "
            "that is about a request and an instance decides; what none permits is denied (DIMSE "
            f"status 0124H, HTTP status 403). {restricted} {emergency}",
        ),
    )
