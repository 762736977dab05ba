"""SR documents as a tree of their content items."""

from collections.abc import Iterator

from pacs_core.api.file_commands import escape
from pacs_core.api.sr import ContentItem
from pacs_tools.styles import Style


def tree_lines(root: ContentItem, style: Style) -> Iterator[str]:
    """Iterate over lines, one for each item: relationship, value type, concept and value."""
    for item in root.walk():
        indent = "  " * item.number.count(".")
        kind = style("dim", " ".join(filter(None, (item.relationship.lower(), item.value_type))))
        name = style("name", escape(str(item.name)))
        value = escape(item.value)
        said = f"{name}: {value}" if name and value else name or value
        yield f"{indent}{style('dim', item.number)} {kind} {said}".rstrip()
