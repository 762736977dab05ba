"""The specification of the application entity: what it negotiates and answers (PS3.2, AE)."""

from collections.abc import Iterator, Mapping

from pacs_core.conformance.document import DocumentTable, StatementSection
from pacs_core.conformance.statement import StatedService, Statement
from pacs_core.dimse import describe

Syntaxes = tuple[str, ...]


def entity_sections(statement: Statement) -> Iterator[StatementSection]:
    """Iterate over the sections on the application entity."""
    yield StatementSection("3.2", "AE Specifications")
    yield StatementSection("3.2.1", f"Application Entity {statement.network.ae_title}")
    yield StatementSection("3.2.1.1", "SOP Classes", (_SOP_CLASSES,))
    yield from _policies(statement)
    yield from _initiation(statement)
    yield from _acceptance(statement)


_SOP_CLASSES = "Standard and, where a plugin brings them, private SOP classes: see section 1."


def _policies(statement: Statement) -> Iterator[StatementSection]:
    network = statement.network
    yield StatementSection("3.2.1.2", "Association Policies")
    general = (
        ("application context name", "1.2.840.10008.3.1.1.1"),
        ("maximum PDU length received", f"{network.max_pdu_length} bytes"),
    )
    yield StatementSection("3.2.1.2.1", "General", (DocumentTable(("item", "value"), general),))
    yield StatementSection(
        "3.2.1.2.2",
        "Number of Associations",
        (
            f"At most {network.max_associations} at once; one more is rejected: transient, by the "
            "presentation service provider, local limit exceeded.",
        ),
    )
    yield StatementSection(
        "3.2.1.2.3",
        "Asynchronous Nature",
        (
            "The asynchronous operations window is negotiated (PS3.7 D.3.3.3): up to "
            f"{network.operations_window} operations invoked and performed on one association. "
            "Without negotiation it is one.",
        ),
    )
    identity = (
        ("implementation class UID", network.implementation_class_uid),
        ("implementation version name", network.implementation_version_name),
    )
    yield StatementSection(
        "3.2.1.2.4",
        "Implementation Identifying Information",
        (DocumentTable(("item", "value"), identity),),
    )


def _initiation(statement: Statement) -> Iterator[StatementSection]:
    reasons = tuple(f"{s.name}: {s.initiates}" for s in statement.services if s.initiates)
    yield StatementSection(
        "3.2.1.3",
        "Association Initiation Policy",
        reasons or ("This application entity initiates no associations.",),
    )


def _acceptance(statement: Statement) -> Iterator[StatementSection]:
    order = "this node's" if statement.network.prefer_own_order else "the requestor's"
    lists = {each: f"T{n}" for n, each in enumerate(_distinct(statement), start=1)}
    yield StatementSection(
        "3.2.1.4",
        "Association Acceptance Policy",
        (
            "Any number of presentation contexts for one abstract syntax is accepted. Of the "
            f"transfer syntaxes proposed in a context, the first in {order} order that is in the "
            "list of the abstract syntax is chosen. A role that was not negotiated is the default: "
            "the requestor is SCU.",
        ),
    )
    yield StatementSection(
        "3.2.1.4.1", "Accepted Presentation Contexts", (_contexts(statement, lists),)
    )
    tables = tuple(
        block
        for syntaxes, name in lists.items()
        for block in (f"Transfer syntax list {name}:", _syntaxes(statement, syntaxes))
    )
    yield StatementSection("3.2.1.4.2", "Transfer Syntax Lists", tables)
    yield StatementSection("3.2.1.4.3", "Statuses of Any Service", (_statuses(statement.statuses),))
    for number, service in enumerate(statement.services, start=4):
        blocks = _service(service)
        yield StatementSection(
            f"3.2.1.4.{number}", f"SOP Specific Conformance: {service.name}", blocks
        )


def _distinct(statement: Statement) -> dict[Syntaxes, None]:
    return dict.fromkeys(each.transfer_syntaxes for each in statement.sop_classes)


def _contexts(statement: Statement, lists: dict[Syntaxes, str]) -> DocumentTable:
    rows = (
        (
            each.name,
            each.uid,
            lists[each.transfer_syntaxes],
            each.role,
            f"see {service.name}" if service.extended_negotiation else "none",
        )
        for service in statement.services
        for each in service.sop_classes
    )
    header = ("abstract syntax", "UID", "transfer syntaxes", "role", "extended negotiation")
    return DocumentTable(header, tuple(rows))


def _syntaxes(statement: Statement, uids: Syntaxes) -> DocumentTable:
    return DocumentTable(
        ("name", "UID"), tuple((statement.transfer_syntaxes[uid], uid) for uid in uids)
    )


def _service(service: StatedService) -> tuple[str | DocumentTable, ...]:
    blocks: list[str | DocumentTable] = [service.description] if service.description else []
    if service.extended_negotiation:
        options = tuple(service.extended_negotiation.items())
        blocks.append("Agreed to in SOP class extended negotiation (PS3.7 D.3.3.5):")
        blocks.append(DocumentTable(("byte", "option"), options))
    if service.statuses:
        blocks += ["Statuses:", _statuses(service.statuses)]
    return tuple(blocks) or ("The plugin says nothing more of this service.",)


def _statuses(statuses: Mapping[str, str]) -> DocumentTable:
    rows = (
        (f"{code}H", describe(int(code, 16)).partition(" ")[2], when)
        for code, when in statuses.items()
    )
    return DocumentTable(("status", "meaning", "when"), tuple(rows))
