"""In whose name lifecycle acts."""

from typing import Final

from pacs_core.contracts import NodeSettings, Origin, Principal

RULES_INTERFACE: Final = "lifecycle"
"""The door by which rules delete."""


def rule_origin(settings: NodeSettings, rule: str) -> Origin:
    """Return who deletes when a rule does."""
    principal = Principal(f"rule {rule}", method="local")
    return Origin(
        RULES_INTERFACE,
        called_ae_title=settings.ae_title,
        host=settings.host,
        principal=principal,
    )


def job_origin(settings: NodeSettings) -> Origin:
    """Return who acts when a job does."""
    return Origin("jobs", called_ae_title=settings.ae_title, host=settings.host)
