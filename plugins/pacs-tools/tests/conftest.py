"""What tests of the commands share."""

import pytest

from pacs_core.api.commands import main


@pytest.fixture
def run(capsys):
    """Run a command of ``pacs``: exit code, standard output and error."""

    def run_command(*arguments):
        code = main([*map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command
