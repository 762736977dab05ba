"""What a command imports before it has opened the first file, or called the first peer."""

from pathlib import Path

import pytest

from pacs_core.cli.file_commands import GROUP
from pacs_core.cli.kernel_commands import KERNEL_COMMANDS
from pacs_core.cli.option import CommandGroup
from pacs_core.entry_points import find_entry_points
from tests.benchmarks.start_files import write_files
from tests.benchmarks.start_lines import LINES, begin

OF_A_NODE = {
    "aside", "archive", "config", "conformance", "consumers", "correct", "delete", "doctor",
    "import", "index", "init", "log-level", "man", "migrate", "plugins", "reload", "serve",
    "status", "stop", "tls", "codecs",
}  # fmt: skip
"""The kernel's other commands, by their first word: they are for a node, and may take a second."""

HEAVY = {
    "PIL", "anyio", "asyncio", "cattrs", "cryptography", "cyclopts", "highdicom", "imagecodecs",
    "importlib_metadata", "lxml", "multiprocessing", "nibabel", "numpy", "pluggy", "pydicom",
    "requests", "rich", "sqlalchemy", "ssl", "urllib3", "xml",
}  # fmt: skip
NETWORK = {"anyio", "asyncio", "ssl"}
ALLOWED = (
    (NETWORK, ["bench", "echo", "find", "get", "listen", "move", "ping"]),
    ({"xml"}, ["from-cda", "from-pdf", "from-stl", "to-document", "xml"]),
    (set(), [
        "completion", "convert", "deidentify", "dicomdir create", "dicomdir show",
        "dicomdir update", "diff", "dump", "explain", "extract", "find-files", "from-image",
        "from-video", "help", "info", "json", "merge-patient", "modify", "reidentify",
        "seg from-masks", "seg to-nifti", "sign", "split", "sr", "store", "to-stream", "uid",
        "validate", "verify",
    ]),
)  # fmt: skip
MAY = {name: modules for modules, names in ALLOWED for name in names}
"""What of these each command may have by then: nothing that only what is in the file calls for."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("starts")
    write_files(made)
    return made


def test_each_command_for_files_or_peers_has_a_line() -> None:
    found = set()
    for point in find_entry_points(GROUP):
        command = point.load()
        names = command.commands if isinstance(command, CommandGroup) else [""]
        found |= {f"{point.name} {name}".strip() for name in names}
    found |= {name for name in KERNEL_COMMANDS if name.split()[0] not in OF_A_NODE}
    assert found == LINES.keys() == MAY.keys()


@pytest.mark.parametrize("name", LINES)
def test_nothing_heavy_is_imported_before_a_command_begins(name: str, folder: Path) -> None:
    begun = begin(LINES[name], folder)
    heavy = {module.partition(".")[0] for module in begun.modules} & HEAVY
    assert heavy <= MAY[name]
