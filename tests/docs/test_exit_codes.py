"""The table of exit codes has every command for files, once."""

import re
from pathlib import Path

from pacs_core.cli.file_commands import GROUP
from pacs_core.cli.option import CommandGroup
from pacs_core.entry_points import find_entry_points

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "files.md"


def test_each_command_for_files_has_its_exit_codes() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Exit codes\n")[2]
    table = section.partition("\n## ")[0]
    listed = [
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall("`(.*?)`", row)
    ]
    found = []
    for point in find_entry_points(GROUP):
        command = point.load()
        names = command.commands if isinstance(command, CommandGroup) else [""]
        found += [f"{point.name} {name}".strip() for name in names]
    assert sorted(listed) == sorted(found)
