"""Statement of what a node supports, as data: from what it negotiates, and its configuration."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version

from attrs import frozen

from pacs_core.app import Assembly
from pacs_core.config import effective_tables
from pacs_core.contracts import (
    AccessDescriptor,
    AuditSinkDescriptor,
    SecurityStatement,
    ServiceProviderDescriptor,
    WebServicesStatement,
)
from pacs_core.dataset import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    SPECIFIC_CHARACTER_SETS,
    name_of,
)
from pacs_core.dimse import Status
from pacs_core.plugins import Fault, PluginRecord


@frozen
class Plugin:
    """A plugin that the statement covers."""

    name: str
    distribution: str
    version: str


@frozen
class SopClass:
    """A SOP class, the node's roles and the transfer syntaxes that it accepts."""

    uid: str
    name: str
    scu: bool
    scp: bool
    transfer_syntaxes: tuple[str, ...]

    @property
    def role(self) -> str:
        """The node's role in words."""
        roles = [name for name, has in (("SCP", self.scp), ("SCU", self.scu)) if has]
        return " and ".join(roles) or "none"


@frozen
class StatedService:
    """What a service provider does.

    Attributes
    ----------
    name, plugin, description, initiates : str
    sop_classes : tuple of SopClass
    statuses : mapping of str to str
        When, by the status in four hexadecimal digits.
    extended_negotiation : mapping of str to str
        Option by the number of its byte.
    """

    name: str
    plugin: str
    description: str
    initiates: str
    sop_classes: tuple[SopClass, ...]
    statuses: Mapping[str, str]
    extended_negotiation: Mapping[str, str]


@frozen
class Network:
    """The application entity and its association policies."""

    ae_title: str
    host: str
    port: int
    max_associations: int
    max_pdu_length: int
    operations_window: int
    check_called_ae_title: bool
    calling_ae_titles: tuple[str, ...]
    unknown_identities: str
    prefer_own_order: bool
    tls: tuple[str, ...] = ()
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME


@frozen
class Statement:
    """All facts of a DICOM Conformance Statement (PS3.2).

    Attributes
    ----------
    version : str
        Of pacs-core.
    plugins : tuple of Plugin
    network : Network
    services : tuple of Service
    web_services : tuple of WebServicesStatement
    statuses : mapping of str to str
        Statuses that the node itself answers, for any service.
    transfer_syntaxes : mapping of str to str
        Names of all that are mentioned.
    character_sets : tuple of str
    access, audit_sinks : tuple of str
        Parts that guard associations, and that record what happens.
    security : tuple of SecurityStatement
        What plugins say of it.
    configuration : mapping
        Effective values of all tables, secrets hidden.
    """

    version: str
    plugins: tuple[Plugin, ...]
    network: Network
    services: tuple[StatedService, ...]
    web_services: tuple[WebServicesStatement, ...]
    statuses: Mapping[str, str]
    transfer_syntaxes: Mapping[str, str]
    character_sets: tuple[str, ...]
    access: tuple[str, ...]
    audit_sinks: tuple[str, ...]
    security: tuple[SecurityStatement, ...]
    configuration: Mapping[str, object]

    @property
    def sop_classes(self) -> Iterator[SopClass]:
        """All SOP classes of all services."""
        for service in self.services:
            yield from service.sop_classes


_NODE_STATUSES: Mapping[int, str] = {
    Status.PROCESSING_FAILURE: "the service provider failed",
    Status.UNRECOGNIZED_OPERATION: "the requestor does not have the SCU role of the SOP class",
    Status.OUT_OF_RESOURCES: "datasets under way fill the node's memory budget",
}
_NOT_AUTHORIZED: Mapping[int, str] = {Status.NOT_AUTHORIZED: "an authorizer refused the request"}


def state(assembly: Assembly) -> Statement:
    """Return the conformance statement of a node."""
    services = tuple(
        _service(record, descriptor)
        for record, descriptor in assembly.registry.entries(ServiceProviderDescriptor)
        if descriptor.sop_classes
    )
    access = assembly.registry.entries(AccessDescriptor)
    guarded = any(descriptor.authorizer for _, descriptor in access)
    additions = tuple(_additions(assembly))
    return Statement(
        version=version("pacs-core"),
        plugins=tuple(
            Plugin(record.name, record.distribution, record.version)
            for record in assembly.manager.loaded
        ),
        network=_network(assembly),
        services=services,
        web_services=tuple(each for each in additions if isinstance(each, WebServicesStatement)),
        statuses=_by_code({**_NODE_STATUSES, **(_NOT_AUTHORIZED if guarded else {})}),
        transfer_syntaxes=_syntaxes(services),
        character_sets=SPECIFIC_CHARACTER_SETS,
        access=tuple(_access(access)),
        audit_sinks=tuple(d.name for _, d in assembly.registry.entries(AuditSinkDescriptor)),
        security=tuple(each for each in additions if isinstance(each, SecurityStatement)),
        configuration=effective_tables(assembly.config, assembly.plugin_configs),
    )


def _additions(assembly: Assembly) -> Iterator[WebServicesStatement | SecurityStatement]:
    for record, result in assembly.manager.call("pacs_conformance", assembly.setup_for):
        if isinstance(result, list | tuple) and all(
            isinstance(each, WebServicesStatement | SecurityStatement) for each in result
        ):
            yield from result
        else:
            reason = f"pacs_conformance returned {result!r:.100}, no list of statements"
            assembly.manager.quarantine(record, Fault.WRONG_RESULT, reason)


def _service(record: PluginRecord, descriptor: ServiceProviderDescriptor) -> StatedService:
    options = sorted(descriptor.extended_negotiation.items())
    return StatedService(
        name=descriptor.name,
        plugin=record.name,
        description=descriptor.description,
        initiates=descriptor.initiates,
        sop_classes=tuple(
            SopClass(uid, each.name or uid, each.scu, each.scp, tuple(each.transfer_syntaxes))
            for uid, each in descriptor.sop_classes.items()
        ),
        statuses=_by_code(descriptor.statuses),
        extended_negotiation={str(number): name for number, name in options},
    )


def _by_code(statuses: Mapping[int, str]) -> dict[str, str]:
    return {f"{status:04X}": when for status, when in sorted(statuses.items())}


def _syntaxes(services: Iterable[StatedService]) -> dict[str, str]:
    classes = [each for service in services for each in service.sop_classes]
    return {uid: name_of(uid) for each in classes for uid in each.transfer_syntaxes}


def _access(entries: Iterable[tuple[PluginRecord, AccessDescriptor]]) -> Iterator[str]:
    for record, descriptor in entries:
        for part in ("authenticator", "authorizer", "observer"):
            if getattr(descriptor, part):
                yield f"{part} {descriptor.name} of plugin {record.name}"


def _network(assembly: Assembly) -> Network:
    node, network = assembly.config.node, assembly.config.network
    return Network(
        ae_title=node.ae_title,
        host=node.host,
        port=node.port,
        max_associations=network.max_associations,
        max_pdu_length=network.max_pdu_length,
        operations_window=network.operations_window,
        check_called_ae_title=network.check_called_ae_title,
        calling_ae_titles=network.calling_ae_titles,
        unknown_identities=network.unknown_identities,
        prefer_own_order=network.prefer_own_order,
        tls=tuple(_secured(assembly)),
    )


def _secured(assembly: Assembly) -> Iterator[str]:
    """Iterate over sentences on what is secured by TLS, and how."""
    listening = assembly.config.network.tls
    if listening is not None:
        beside = "beside" if listening.plain else "instead of"
        yield (
            f"Associations are accepted under {listening.profile.title} on port "
            f"{listening.port}, {beside} the port that is not secured. Certificates of peers are "
            f"{listening.peers.value}."
        )
    for name, peer in assembly.config.peers.items():
        if peer.tls is not None:
            profile = peer.tls.profile.title
            yield f"Associations with peer {name} are requested under {profile}."
