"""Web services in a conformance statement: transactions, resources, media types, statuses."""

from collections.abc import Iterator

from pacs_core.conformance.document import DocumentTable, StatementSection
from pacs_core.conformance.statement import Statement
from pacs_core.contracts import WebServicesStatement, WebTransaction

_HEADER = ("transaction", "resources", "media types", "query parameters", "remarks")


def web_sections(statement: Statement) -> Iterator[StatementSection]:
    """Iterate over the sections about web services; none where there are no such."""
    if not statement.web_services:
        return
    yield StatementSection("3.4", "Web Services")
    for number, service in enumerate(statement.web_services, 1):
        yield from _service(f"3.4.{number}", service)


def _service(number: str, service: WebServicesStatement) -> Iterator[StatementSection]:
    table = DocumentTable(_HEADER, tuple(map(_row, service.transactions)))
    yield StatementSection(
        number, service.name, (f"The root is {service.root}.", table, *service.remarks)
    )
    parts: list[tuple[str, DocumentTable]] = []
    if service.attributes:
        rows = tuple((level, ", ".join(words)) for level, words in service.attributes.items())
        parts.append(("Attributes of Searches", DocumentTable(("level", "attributes"), rows)))
    if service.statuses:
        rows = tuple((str(status), when) for status, when in sorted(service.statuses.items()))
        parts.append(("Status Codes", DocumentTable(("status", "when"), rows)))
    for position, (title, part) in enumerate(parts, 1):
        yield StatementSection(f"{number}.{position}", title, (part,))


def _row(transaction: WebTransaction) -> tuple[str, ...]:
    section = f" ({transaction.section})" if transaction.section else " (extension)"
    return (
        f"{transaction.name}{section}",
        ", ".join(transaction.resources),
        ", ".join(transaction.media_types),
        ", ".join(transaction.parameters),
        transaction.remarks,
    )
