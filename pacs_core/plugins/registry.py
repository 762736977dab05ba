"""Collects what plugins register, checks it, and settles who provides what."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field, frozen

from pacs_core.contracts import (
    AccessDescriptor,
    AuditSinkDescriptor,
    CapabilityDescriptor,
    ChangeConsumerDescriptor,
    CliCommandDescriptor,
    CodecDescriptor,
    ControlDescriptor,
    DeletionGuardDescriptor,
    Descriptor,
    EventHandlerDescriptor,
    IndexDescriptor,
    IngestFilterDescriptor,
    ObjectStoreDescriptor,
    ServiceDescriptor,
    ServiceProviderDescriptor,
    Setup,
    interface_name,
)
from pacs_core.plugins.manager import PluginManager
from pacs_core.plugins.records import Fault, PluginRecord, PluginState

# Theory of operation
#
# What plugins return from their hooks is gathered first, all of it, and registered after that,
# plugin by plugin. So a plugin that fails in its last hook has not taken a name from one that
# works, and a plugin takes part with everything it offers or with nothing.
#
# A name may be claimed once for each kind, a SOP class once in all. Who comes first in the order
# has it, and the other is quarantined with a reason that names both: the order is the
# administrator's means to decide.
#
# Requirements are looked at when all is registered. Quarantining a plugin may take away what
# another requires, so that is done again until nothing changes.


@frozen
class DescriptorKind:
    """A kind of thing that plugins register through a hook."""

    label: str
    hook: str
    descriptor: type


KINDS = (
    DescriptorKind("service provider", "pacs_service_providers", ServiceProviderDescriptor),
    DescriptorKind("service", "pacs_services", ServiceDescriptor),
    DescriptorKind("capability", "pacs_capabilities", CapabilityDescriptor),
    DescriptorKind("object store", "pacs_object_stores", ObjectStoreDescriptor),
    DescriptorKind("index", "pacs_indexes", IndexDescriptor),
    DescriptorKind("codec", "pacs_codecs", CodecDescriptor),
    DescriptorKind("audit sink", "pacs_audit_sinks", AuditSinkDescriptor),
    DescriptorKind("event handler", "pacs_event_handlers", EventHandlerDescriptor),
    DescriptorKind("change consumer", "pacs_change_consumers", ChangeConsumerDescriptor),
    DescriptorKind("access", "pacs_access", AccessDescriptor),
    DescriptorKind("ingest filter", "pacs_ingest_filters", IngestFilterDescriptor),
    DescriptorKind("deletion guard", "pacs_deletion_guards", DeletionGuardDescriptor),
    DescriptorKind("control operation", "pacs_control", ControlDescriptor),
    DescriptorKind("CLI command", "pacs_cli_commands", CliCommandDescriptor),
)


class RegistrationError(Exception):
    """What a plugin registers is of the wrong type, or taken already."""

    fault = Fault.WRONG_RESULT


class ConflictError(RegistrationError):
    """What a plugin registers is taken already."""

    fault = Fault.CONFLICT


@define
class Registry:
    """Everything that loaded plugins have registered: descriptors by kind and name, in order."""

    _entries: dict[str, dict[str, tuple[PluginRecord, Any]]] = field(factory=dict)
    _owners: dict[str, PluginRecord] = field(factory=dict)

    def collect(
        self,
        manager: PluginManager,
        setups: Callable[[PluginRecord], Setup],
        kinds: Iterable[DescriptorKind] = KINDS,
    ) -> None:
        """Call the registration hooks; a plugin whose descriptors do not fit is quarantined.

        All hooks are called before the first name is given away: a plugin that fails in its last
        hook has taken nothing from those that come after it.

        Parameters
        ----------
        manager : PluginManager
        setups : callable
            Makes what a plugin's hooks receive.
        kinds : iterable of DescriptorKind
            Only these are collected.
        """
        offered: dict[str, list[tuple[DescriptorKind, object]]] = defaultdict(list)
        for kind in kinds:
            for record, result in manager.call(kind.hook, setups):
                offered[record.name].append((kind, result))
        for record in manager.loaded:
            try:
                self._register(record, offered[record.name])
            except RegistrationError as error:
                manager.quarantine(record, error.fault, str(error))
            except Exception as error:
                reason = f"its descriptors cannot be read: {type(error).__name__}: {error}"
                manager.quarantine(record, Fault.WRONG_RESULT, reason, error)
        # Again and again, since each plugin that goes may leave others without what they require.
        while unmet := self._unmet():
            for record, reason in unmet:
                manager.quarantine(record, Fault.REQUIREMENT, reason)

    def _unmet(self) -> list[tuple[PluginRecord, str]]:
        unmet = []
        for kind in (k for k in KINDS if hasattr(k.descriptor, "requires")):
            for record, descriptor in self.active(kind.descriptor):
                try:
                    for interface in descriptor.requires:
                        self.providers(interface)
                except LookupError as error:
                    unmet.append((record, f"{kind.label} {descriptor.name!r}: {error}"))
        return unmet

    def providers(self, interface: type) -> list[tuple[PluginRecord, CapabilityDescriptor]]:
        """Return what provides an interface, after all that this requires in turn.

        Raises
        ------
        LookupError
            No plugin provides it, or something that it requires, or it requires itself.
        """
        ordered: dict[type, tuple[PluginRecord, CapabilityDescriptor]] = {}
        self._add_provider(interface, ordered, ())
        return list(ordered.values())

    def _add_provider(
        self,
        interface: type,
        ordered: dict[type, tuple[PluginRecord, CapabilityDescriptor]],
        above: tuple[type, ...],
    ) -> None:
        if interface in ordered:
            return
        if interface in above:
            circle = " requires ".join(map(interface_name, [*above, interface]))
            raise LookupError(f"{circle}: break the circle")
        for record, descriptor in self.active(CapabilityDescriptor):
            if descriptor.interface is interface:
                for required in descriptor.requires:
                    self._add_provider(required, ordered, (*above, interface))
                ordered[interface] = (record, descriptor)
                return
        raise LookupError(
            f"it requires {interface_name(interface)}, and no plugin provides that: "
            "install one that does"
        )

    def _register(self, record: PluginRecord, offers: list[tuple[DescriptorKind, object]]) -> None:
        accepted = [(kind, each) for kind, result in offers for each in _check_result(kind, result)]
        claims: dict[str, PluginRecord] = {}
        for kind, descriptor in accepted:
            for claim in _claims(kind, descriptor):
                owner = self._owners.get(claim) or claims.get(claim)
                if owner is not None:
                    raise ConflictError(_describe_conflict(kind, claim, owner, record))
                claims[claim] = record
        self._owners |= claims
        for kind, descriptor in accepted:
            self._entries.setdefault(kind.label, {})[descriptor.name] = (record, descriptor)
            record.kinds.add(kind.label)

    def entries(self, kind: type[Any]) -> list[tuple[PluginRecord, Any]]:
        """Return the plugin and descriptor of everything of a descriptor type, in order."""
        label = next(k.label for k in KINDS if k.descriptor is kind)
        return list(self._entries.get(label, {}).values())

    def active(self, kind: type[Any]) -> list[tuple[PluginRecord, Any]]:
        """Return the entries of a descriptor type whose plugins are not quarantined since."""
        return [entry for entry in self.entries(kind) if entry[0].state is PluginState.LOADED]

    def find_named(self, kind: type[Any], name: str) -> tuple[PluginRecord, Any] | None:
        """Return the plugin and descriptor with this name, or None."""
        return next((entry for entry in self.entries(kind) if entry[1].name == name), None)


def _claims(kind: DescriptorKind, descriptor: Descriptor) -> list[str]:
    """Return what only one descriptor may have."""
    claims = [f"{kind.label} {descriptor.name!r}"]
    if isinstance(descriptor, ServiceProviderDescriptor):
        claims += [f"SOP class {uid}" for uid in descriptor.sop_classes]
    return claims


def _describe_conflict(
    kind: DescriptorKind, claim: str, owner: PluginRecord, record: PluginRecord
) -> str:
    if owner is record:
        return f"{kind.hook}: registers the {claim} twice"
    return (
        f"{kind.hook}: the {claim} is provided by plugin {owner.name} ({owner.source}) already; "
        "disable one of the two"
    )


def _check_result(kind: DescriptorKind, result: object) -> Sequence[Any]:
    if isinstance(result, Sequence) and all(isinstance(d, kind.descriptor) for d in result):
        return result
    raise RegistrationError(
        f"{kind.hook}: must return a sequence of {kind.descriptor.__name__}, not {result!r:.200}"
    )
