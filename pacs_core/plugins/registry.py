"""Collects what plugins register, checks it, and settles who provides what."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field, frozen

from pacs_core.contracts import (
    AccessDescriptor,
    AuditSinkDescriptor,
    CliCommandDescriptor,
    CodecDescriptor,
    Descriptor,
    EventHandlerDescriptor,
    IndexDescriptor,
    ObjectStoreDescriptor,
    ServiceProviderDescriptor,
    Setup,
)
from pacs_core.plugins.manager import PluginManager
from pacs_core.plugins.records import Fault, PluginRecord


@frozen
class Kind:
    """A kind of thing that plugins register through a hook."""

    label: str
    hook: str
    descriptor: type


KINDS = (
    Kind("service provider", "pacs_service_providers", ServiceProviderDescriptor),
    Kind("object store", "pacs_object_stores", ObjectStoreDescriptor),
    Kind("index", "pacs_indexes", IndexDescriptor),
    Kind("codec", "pacs_codecs", CodecDescriptor),
    Kind("audit sink", "pacs_audit_sinks", AuditSinkDescriptor),
    Kind("event handler", "pacs_event_handlers", EventHandlerDescriptor),
    Kind("access", "pacs_access", AccessDescriptor),
    Kind("CLI command", "pacs_cli_commands", CliCommandDescriptor),
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
        kinds: Iterable[Kind] = KINDS,
    ) -> None:
        """Call the registration hooks; a plugin whose descriptors do not fit is quarantined.

        All hooks are called before the first name is given away: a plugin that fails in its last
        hook has taken nothing from those that come after it.

        Parameters
        ----------
        manager : PluginManager
        setups : callable
            Makes what a plugin's hooks receive.
        kinds : iterable of Kind
            Only these are collected.
        """
        offered: dict[str, list[tuple[Kind, object]]] = defaultdict(list)
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

    def _register(self, record: PluginRecord, offers: list[tuple[Kind, object]]) -> None:
        accepted = [(kind, each) for kind, result in offers for each in _checked(kind, result)]
        claims: dict[str, PluginRecord] = {}
        for kind, descriptor in accepted:
            for claim in _claims(kind, descriptor):
                owner = self._owners.get(claim) or claims.get(claim)
                if owner is not None:
                    raise ConflictError(_taken(kind, claim, owner, record))
                claims[claim] = record
        self._owners |= claims
        for kind, descriptor in accepted:
            self._entries.setdefault(kind.label, {})[descriptor.name] = (record, descriptor)
            record.kinds.add(kind.label)

    def entries(self, kind: type[Any]) -> list[tuple[PluginRecord, Any]]:
        """Return the plugin and descriptor of everything of a descriptor type, in order."""
        label = next(k.label for k in KINDS if k.descriptor is kind)
        return list(self._entries.get(label, {}).values())

    def named(self, kind: type[Any], name: str) -> tuple[PluginRecord, Any] | None:
        """Return the plugin and descriptor with this name, or None."""
        return next((entry for entry in self.entries(kind) if entry[1].name == name), None)


def _claims(kind: Kind, descriptor: Descriptor) -> list[str]:
    """Return what only one descriptor may have."""
    claims = [f"{kind.label} {descriptor.name!r}"]
    if isinstance(descriptor, ServiceProviderDescriptor):
        claims += [f"SOP class {uid}" for uid in descriptor.sop_classes]
    return claims


def _taken(kind: Kind, claim: str, owner: PluginRecord, record: PluginRecord) -> str:
    if owner is record:
        return f"{kind.hook}: registers the {claim} twice"
    return (
        f"{kind.hook}: the {claim} is provided by plugin {owner.name} ({owner.source}) already; "
        "disable one of the two"
    )


def _checked(kind: Kind, result: object) -> Sequence[Any]:
    if isinstance(result, Sequence) and all(isinstance(d, kind.descriptor) for d in result):
        return result
    raise RegistrationError(
        f"{kind.hook}: must return a sequence of {kind.descriptor.__name__}, not {result!r:.200}"
    )
