"""Collects what plugins register, checks it, and settles who provides what."""

from collections.abc import Iterable, Sequence
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
from pacs_core.plugins.records import PluginRecord


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


@define
class Registry:
    """Everything that loaded plugins have registered: descriptors by kind and name, in order."""

    _entries: dict[str, dict[str, tuple[PluginRecord, Any]]] = field(factory=dict)
    _sop_classes: dict[str, str] = field(factory=dict)

    def collect(self, manager: PluginManager, setup: Setup, kinds: Iterable[Kind] = KINDS) -> None:
        """Call the registration hooks; a plugin whose descriptors do not fit is quarantined."""
        for kind in kinds:
            arguments = {} if kind.hook == "pacs_cli_commands" else {"setup": setup}
            for record, result in manager.call(kind.hook, **arguments):
                try:
                    self._register(kind, record, result)
                except RegistrationError as error:
                    manager.quarantine(record, f"{kind.hook}: {error}")
            self._forget_quarantined(manager)

    def _register(self, kind: Kind, record: PluginRecord, result: object) -> None:
        descriptors = _checked(kind, result)
        entries = self._entries.setdefault(kind.label, {})
        for descriptor in descriptors:
            if descriptor.name in entries:
                owner = entries[descriptor.name][0]
                raise RegistrationError(
                    f"the {kind.label} {descriptor.name!r} is provided by plugin {owner.name} "
                    f"({owner.source}) already; disable one of the two"
                )
            self._claim(record, descriptor)
        entries.update({d.name: (record, d) for d in descriptors})
        if descriptors:
            record.kinds.add(kind.label)

    def _claim(self, record: PluginRecord, descriptor: Descriptor) -> None:
        if not isinstance(descriptor, ServiceProviderDescriptor):
            return
        for uid in descriptor.sop_classes:
            owner = self._sop_classes.get(uid, record.name)
            if owner != record.name:
                raise RegistrationError(
                    f"SOP class {uid} is provided by plugin {owner} already; disable one of the two"
                )
        self._sop_classes.update(dict.fromkeys(descriptor.sop_classes, record.name))

    def _forget_quarantined(self, manager: PluginManager) -> None:
        loaded = {record.name for record in manager.loaded}
        for label, entries in self._entries.items():
            self._entries[label] = {n: e for n, e in entries.items() if e[0].name in loaded}
        self._sop_classes = {u: n for u, n in self._sop_classes.items() if n in loaded}

    def entries(self, kind: type[Any]) -> list[tuple[PluginRecord, Any]]:
        """Return the plugin and descriptor of everything of a descriptor type, in order."""
        label = next(k.label for k in KINDS if k.descriptor is kind)
        return list(self._entries.get(label, {}).values())

    def named(self, kind: type[Any], name: str) -> tuple[PluginRecord, Any] | None:
        """Return the plugin and descriptor with this name, or None."""
        return next((entry for entry in self.entries(kind) if entry[1].name == name), None)


def _checked(kind: Kind, result: object) -> Sequence[Any]:
    if isinstance(result, Sequence) and all(isinstance(d, kind.descriptor) for d in result):
        return result
    raise RegistrationError(
        f"must return a sequence of {kind.descriptor.__name__}, not {result!r:.200}"
    )
