"""Public API for plugins that find damage: other tiers may have a whole copy."""

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditValue,
    Node,
    Origin,
    Outcome,
    StoredInstance,
)

__all__ = ["mend_from_tiers"]


async def mend_from_tiers(node: Node, instance: StoredInstance, origin: Origin) -> str:
    """Put a whole copy of an instance, of a lower tier, in the place of a damaged one.

    Returns
    -------
    str
        Name of the tier; empty if the node has no tiered store, or no tier a whole copy.

    Raises
    ------
    OSError
        A tier does not answer.
    """
    from pacs_store_tiered.planning import find_store

    try:
        store = find_store(node)
    except LookupError:
        return ""
    tier = await store.mend(instance.key, instance)
    if tier:
        details: dict[str, AuditValue] = {
            "sop_instance_uid": instance.identity.sop_instance_uid,
            "existing_key": instance.key,
            "tier": tier,
            "restored": True,
        }
        event = AuditEvent(AuditKind.INSTANCE_HEALED, Outcome.SUCCESS, origin, details)
        await node.audit.record(event)
    return tier
