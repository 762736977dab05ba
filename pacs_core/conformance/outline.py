"""The chapters of a conformance statement, in the structure of PS3.2."""

from collections.abc import Iterator
from itertools import chain

from pacs_core.conformance.document import DocumentTable, StatementSection
from pacs_core.conformance.entity import entity_sections
from pacs_core.conformance.parameters import parameter_rows
from pacs_core.conformance.statement import Statement
from pacs_core.conformance.web import web_sections
from pacs_core.contracts import SecuritySection


def sections(statement: Statement) -> Iterator[StatementSection]:
    """Iterate over the sections of the whole document."""
    yield StatementSection(
        "",
        "DICOM Conformance Statement",
        (
            f"pacs-core {statement.version}, application entity {statement.network.ae_title}. "
            "Generated from the installed plugins and the configuration of this node.",
        ),
    )
    yield from _overview(statement)
    yield from _introduction(statement)
    yield from _networking_section(statement)
    yield from entity_sections(statement)
    yield from _interfaces(statement)
    yield from web_sections(statement)
    yield from _configuration(statement)
    yield StatementSection("5", "Media Interchange", ("Media interchange is not supported.",))
    yield _character_sets(statement)
    yield from _security(statement)


def _overview(statement: Statement) -> Iterator[StatementSection]:
    rows = [(each.name, each.uid, _yes(each.scu), _yes(each.scp)) for each in statement.sop_classes]
    table = DocumentTable(("SOP class", "UID", "user (SCU)", "provider (SCP)"), tuple(rows))
    yield StatementSection(
        "1",
        "Conformance Statement Overview",
        ("An archive that provides these network services:", table)
        if rows
        else ("No plugin provides a SOP class: this node offers no network service.",),
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _introduction(statement: Statement) -> Iterator[StatementSection]:
    yield StatementSection("2", "Introduction")
    yield StatementSection(
        "2.1",
        "Audience and Remarks",
        (
            "For those who integrate this node with other systems. The statement, with those of "
            "the other systems, helps to see whether they can communicate; it does not prove it.",
        ),
    )
    plugins = tuple((p.name, p.distribution, p.version) for p in statement.plugins)
    yield StatementSection(
        "2.2",
        "Products",
        (
            f"pacs-core {statement.version} with these plugins:",
            DocumentTable(("plugin", "distribution", "version"), plugins),
        ),
    )
    yield StatementSection(
        "2.3",
        "Terms and References",
        (
            "AE: application entity; PDU: protocol data unit; SCP, SCU: service class provider, "
            "user; SOP: service-object pair; UID: unique identifier.",
            "NEMA PS3, Digital Imaging and Communications in Medicine (DICOM) Standard.",
        ),
    )


def _networking_section(statement: Statement) -> Iterator[StatementSection]:
    yield StatementSection("3", "Networking")
    yield StatementSection("3.1", "Implementation Model")
    flow = [(each.name, each.plugin, each.description) for each in statement.services]
    yield StatementSection(
        "3.1.1",
        "Application Data Flow",
        (
            "One application entity accepts associations and hands each request to the service "
            "provider of its SOP class:",
            DocumentTable(("service", "plugin", "what it does"), tuple(flow)),
        ),
    )
    yield StatementSection(
        "3.1.2",
        "Sequencing of Real World Activities",
        ("Requests of different associations are independent of each other.",),
    )


def _interfaces(statement: Statement) -> Iterator[StatementSection]:
    network = statement.network
    yield StatementSection(
        "3.3",
        "Network Interfaces",
        (
            "TCP/IP, IPv4 and IPv6, as PS3.8 defines the upper layer. The node listens on "
            f"{network.host}, port {network.port}.",
        ),
    )


def _configuration(statement: Statement) -> Iterator[StatementSection]:
    network = statement.network
    yield StatementSection("4", "Configuration")
    local = (network.ae_title, network.host, str(network.port), "this node")
    peers = statement.configuration.get("peers")
    remote = [
        (str(peer["ae_title"]), str(peer["host"]), str(peer["port"]), f"peer {name}")
        for name, peer in (peers.items() if isinstance(peers, dict) else ())
    ]
    yield StatementSection(
        "4.1",
        "AE Title and Presentation Address Mapping",
        (DocumentTable(("AE title", "host", "port", "entity"), (local, *remote)),),
    )
    yield StatementSection(
        "4.2",
        "Parameters",
        (
            "All parameters, with the values in force:",
            DocumentTable(("parameter", "value"), tuple(parameter_rows(statement.configuration))),
        ),
    )


def _character_sets(statement: Statement) -> StatementSection:
    terms = tuple((term,) for term in statement.character_sets)
    return StatementSection(
        "6",
        "Support of Character Sets",
        (
            "Objects are kept in the character set in which they arrive. The sets below are "
            "decoded for matching, and encoded in responses; a response that the requested set "
            "cannot express, or to a request in a set that is not listed, is in ISO_IR 192. Bytes "
            "that the named set does not explain are taken for UTF-8 if they are valid, else for "
            "the set that default_character_set names, else for ISO_IR 100:",
            DocumentTable(("Specific Character Set",), terms),
        ),
    )


def _security(statement: Statement) -> Iterator[StatementSection]:
    network = statement.network
    titles = ", ".join(network.calling_ae_titles) or "any"
    own = {
        SecuritySection.PROFILES: (
            *(network.tls or ("No Secure Transport Connection Profile is in use.",)),
            f"Audit sinks: {', '.join(statement.audit_sinks) or 'none'}. "
            "No de-identification profile is supported.",
        ),
        SecuritySection.ASSOCIATION: (
            f"Accepted calling AE titles: {titles}. The called AE title is "
            f"{'checked' if network.check_called_ae_title else 'not checked'}. "
            f"Plugins that guard or watch associations: {', '.join(statement.access) or 'none'}. "
            "A user identity (PS3.7 D.3.3.7) that none of those in use verifies is "
            f"{network.unknown_identities}.",
        ),
        SecuritySection.APPLICATION: (),
    }
    yield StatementSection("7", "Security")
    for number, (section, paragraphs) in enumerate(own.items(), 1):
        added = [each.paragraphs for each in statement.security if each.section is section]
        everything = (*paragraphs, *chain.from_iterable(added))
        yield StatementSection(f"7.{number}", section, everything or ("None.",))
