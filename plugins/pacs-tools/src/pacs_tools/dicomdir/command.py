"""``pacs dicomdir``: what it can do."""

from typing import Final

from pacs_core.api.file_commands import CommandGroup

commands: Final = CommandGroup(
    "Make, update and examine file-sets with a DICOMDIR.",
    {
        "create": "pacs_tools.dicomdir.create:create",
        "show": "pacs_tools.dicomdir.show:show",
        "update": "pacs_tools.dicomdir.update:update",
    },
)
