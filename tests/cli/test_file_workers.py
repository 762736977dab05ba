"""Functions for many files in several processes, and what is seen of it."""

import os
import signal
import subprocess
import sys

import pytest

from pacs_core.api.file_commands import CommandError, UsageError, map_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="one process does it all elsewhere")
MANY = 100


def test_results_and_what_is_printed_are_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    def double(number: int) -> tuple[int, int]:
        print(f"line {number}", flush=True)
        print(f"fault {number}", file=sys.stderr)
        sys.stdout.buffer.write(b"raw \xff\n") if number == 50 else None
        return 2 * number, os.getpid()

    found = list(map_files(double, range(MANY), 2))
    out, err = capfd.readouterr()
    assert [each for each, _ in found] == [2 * number for number in range(MANY)]
    assert len({pid for _, pid in found} - {os.getpid()}) == 2
    lines = out.splitlines()
    assert lines.pop(51).startswith("raw ")
    assert lines == [f"line {number}" for number in range(MANY)]
    assert err.splitlines() == [f"fault {number}" for number in range(MANY)]


@pytest.mark.parametrize(("number", "jobs"), [(MANY, 1), (3, 2)])
def test_few_files_are_done_here(number: int, jobs: int) -> None:
    assert set(map_files(lambda _: os.getpid(), range(number), jobs)) == {os.getpid()}


def test_what_is_raised_ends_all_after_what_precedes_it(capfd: pytest.CaptureFixture[str]) -> None:
    def fail_at_fifty(number: int) -> int:
        if number == 50:
            raise UsageError("not that one")
        print(number)
        return number

    results = map_files(fail_at_fifty, range(1000), 2)
    found = [next(results) for _ in range(50)]
    with pytest.raises(UsageError, match="not that one"):
        next(results)
    assert found == list(range(50))
    assert capfd.readouterr().out.split() == [str(number) for number in range(50)]


def test_a_process_that_dies_is_named() -> None:
    def die_at_fifty(number: int) -> int:
        if number == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(CommandError, match="ended before its time"):
        list(map_files(die_at_fifty, range(MANY), 2))


def test_no_more_is_begun_than_is_asked_for() -> None:
    taken = 0

    def count() -> object:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield number

    results = map_files(str, count(), 2)
    assert next(results) == "0"
    results.close()
    assert taken < 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_that_is_killed_leaves_no_process(number: int) -> None:
    """Its processes would wait for files for ever, and go on with those that they have."""
    program = (
        "import os, time\n"
        "from pacs_core.api.file_commands import map_files\n"
        "def work(_):\n"
        "    os.write(1, f'{os.getpid()}\\n'.encode())\n"
        "    time.sleep(60)\n"
        "list(map_files(work, range(100), 2))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        workers = {int(command.stdout.readline()) for _ in range(2)}
        assert command.pid not in workers
        command.send_signal(number)
        command.wait(30)
        # The pipe ends when the last of them has.
        assert command.stdout.read() == b""
