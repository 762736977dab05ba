"""The contract of what reads the audit trail again, for people who ask what happened.

Whoever keeps events where they can be found again provides an :class:`AuditReader` as a capability
(``pacs_capabilities``, with ``always=True``); whoever shows them looks whether one is there::

    if node.capabilities.provides(AuditReader):
        found = node.find(AuditReader).search(AuditSearch(about="1.2.3"))

It asks nobody for permission. Who shows events to somebody asks first: for those about a study, the
archive on behalf of that one, with ``reading="audit.read"``, whether the study exists for it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import datetime

from attrs import field, frozen, validators

from pacs_core.contracts.audit import AuditEvent
from pacs_core.contracts.component import Component


@frozen
class AuditSearch:
    """What is looked for: events of which everything holds that is given.

    Attributes
    ----------
    about : str
        A UID, Patient ID or other name: the ID of one of :attr:`AuditEvent.objects`, or one of the
        `details`, is this text, in full.
    kinds : frozenset of str
        Values of kinds: ``"c-store"``, ``"web-ui.viewed"``. Empty means any.
    user : str
        Name of the principal.
    since, until : datetime or None
        With time zone: not before, and before.
    limit : int
        How many events at most.
    """

    about: str = ""
    kinds: frozenset[str] = frozenset()
    user: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = field(default=1000, validator=validators.ge(1))

    def matches(self, event: AuditEvent) -> bool:
        """Tell whether an event is one of those."""
        return (
            (not self.kinds or event.kind.value in self.kinds)
            and (not self.user or event.origin.user == self.user)
            and (self.since is None or event.time >= self.since)
            and (self.until is None or event.time < self.until)
            and (not self.about or self._is_about(event))
        )

    def _is_about(self, event: AuditEvent) -> bool:
        if any(each.id == self.about for each in event.objects):
            return True
        return any(
            self.about == value if isinstance(value, str) else self.about in value
            for value in event.details.values()
            if isinstance(value, str | tuple | list)
        )


class AuditReader(Component, ABC):
    """Finds recorded events."""

    @abstractmethod
    def search(self, search: AuditSearch) -> AsyncIterator[AuditEvent]:
        """Iterate over events that match, the latest first; written as an asynchronous generator.

        Kinds of plugins are :class:`PluginAuditKind` without codes. Of a principal only the name is
        known. What can no longer be read is left out. Memory is bounded, however much there is.

        Raises
        ------
        OSError
            The trail cannot be read.
        """
