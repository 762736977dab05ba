"""Files that are there when they are whole, and of which nothing is left otherwise."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pacs_core.cli.drafts import Draft


@pytest.fixture(params=["unnamed", "no such files", "refused"])
def output(request, tmp_path: Path, monkeypatch) -> Path:
    """A folder of a file system with or without unnamed files (O_TMPFILE of open(2))."""
    if request.param == "no such files":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif request.param == "refused":
        if not (unnamed := getattr(os, "O_TMPFILE", 0)):
            pytest.skip("the system has no unnamed files")
        opened = os.open

        def refuse(path, flags, *more, **options):
            if flags & unnamed == unnamed:
                raise OSError(errno.EOPNOTSUPP, "not here")
            return opened(path, flags, *more, **options)

        monkeypatch.setattr(os, "open", refuse)
    return tmp_path / "out"


def files_of(folder: Path) -> list[str]:
    return [str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()]


def test_it_has_its_name_when_it_is_whole(output: Path) -> None:
    for content in (b"first", b"second, which replaces it"):
        draft = Draft(output)
        draft.write(content)
        with draft.reopen() as own:
            assert own.read() == content
        assert not [each for each in files_of(output) if not each.startswith(".")][1:]
        draft.finish("a", "b", name="c", durable=True)
        draft.discard()
        assert files_of(output) == [os.path.join("a", "b", "c")]
        assert (output / "a" / "b" / "c").read_bytes() == content


def test_nothing_is_left_of_what_is_given_up(output: Path) -> None:
    draft = Draft(output)
    draft.write(b"half")
    draft.discard()
    assert files_of(output) == []
    draft = Draft(output)
    (output / "link").symlink_to(output)
    with pytest.raises(OSError, match="is not followed"):
        draft.finish("link", name="c")
    draft.discard()
    assert [each.name for each in output.iterdir()] == ["link"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no unnamed files")
def test_nothing_is_left_of_what_is_killed(tmp_path: Path) -> None:
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_RDWR))
    except OSError:
        pytest.skip("the file system has no unnamed files")
    program = (
        "import sys, time; from pathlib import Path; from pacs_core.cli.drafts import Draft\n"
        "draft = Draft(Path(sys.argv[1])); draft.write(b'half'); print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, tmp_path / "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert list((tmp_path / "out").iterdir()) == []
