"""The chain: what a verification says of a trail that was meddled with, and of one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pacs_audit_json.chain import GENESIS, Link, digest_line, extend, find_end
from pacs_audit_json.chained import ChainWriter
from pacs_audit_json.findings import Finding, FindingKind
from pacs_audit_json.rotating import RotatingFile, list_backups
from pacs_audit_json.signing import (
    KeyFileError,
    load_key,
    parse_checkpoint,
    public_key_file,
    read_public_keys,
)
from pacs_audit_json.trail import take_snapshot
from pacs_audit_json.verification import VerificationResult, verify

FOREVER = 1e9


class TrailFiles:
    """A trail in a directory: written by processes of a node, and meddled with by tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "a"
        self.key = directory / "key"
        self.checkpoints = directory / "checkpoints"

    def open(
        self, *, max_bytes: int = 0, backups: int = 0, interval: float = FOREVER
    ) -> RotatingFile:
        chain = ChainWriter(self.key, self.checkpoints, interval)
        file = RotatingFile(
            self.path, max_bytes=max_bytes, backups=backups, fsync=False, chain=chain
        )
        file.open()
        return file

    def write(self, count: int, **options: float) -> None:
        file = self.open(**options)  # type: ignore[arg-type]
        for number in range(count):
            file.write([b'{"n":%d}\n' % number])
        file.close()

    @property
    def files(self) -> list[Path]:
        return [*list_backups(self.path), self.path]

    def lines(self) -> list[bytes]:
        return [line for file in self.files for line in file.read_bytes().splitlines(keepends=True)]

    def rewrite(self, lines: Sequence[bytes]) -> None:
        """Put other lines into the same files, as many into each as before."""
        left = list(lines)
        counts = [len(file.read_bytes().splitlines()) for file in self.files]
        for file, count in zip(self.files[:-1], counts, strict=False):
            file.write_bytes(b"".join(left[:count]))
            del left[:count]
        self.path.write_bytes(b"".join(left))

    def verify(self, *keys: str) -> tuple[VerificationResult, list[Finding]]:
        findings: list[Finding] = []
        trusted = frozenset(keys or read_public_keys(public_key_file(self.key)))
        result = verify(take_snapshot(self.path, self.checkpoints), trusted, findings.append)
        assert result.problems == sum(each.is_problem for each in findings)
        return result, findings

    def problems(self) -> list[tuple[str, int, int]]:
        return [
            (each.kind.value, each.first, each.last) for each in self.verify()[1] if each.is_problem
        ]


@pytest.fixture
def trail(tmp_path: Path) -> TrailFiles:
    return TrailFiles(tmp_path)


@pytest.mark.parametrize("max_bytes", [0, 500])
def test_a_trail_that_nobody_touched(trail: TrailFiles, max_bytes: int) -> None:
    for _ in range(3):
        trail.write(20, max_bytes=max_bytes)
    result, findings = trail.verify()
    assert findings == []
    assert (result.records, result.highest, result.signed) == (60, 60, 60)
    assert (len(trail.files) > 1) == bool(max_bytes)
    first, second = trail.lines()[:2]
    assert json.loads(first) == {"n": 0, "sequence": 1, "previous": GENESIS}
    assert json.loads(second)["previous"] == digest_line(first)


CHANGES: list[tuple[str, Callable[[list[bytes]], None], list[tuple[str, int, int]]]] = [
    ("content", lambda a: a.__setitem__(4, a[4].replace(b'"n":4', b'"n":9')), [("changed", 5, 5)]),
    ("no JSON", lambda a: a.__setitem__(4, b"garbage\n"), [("changed", 5, 5)]),
    ("no number", lambda a: a.__setitem__(4, b'{"n":4}\n'), [("changed", 5, 5)]),
    ("removed", lambda a: a.__delitem__(4), [("removed", 5, 5)]),
    ("several removed", lambda a: a.__delitem__(slice(4, 7)), [("removed", 5, 7)]),
    ("the first removed", lambda a: a.__delitem__(0), [("removed", 1, 1)]),
    ("the end removed", lambda a: a.__delitem__(slice(7, None)), [("removed", 8, 10)]),
    ("all removed", lambda a: a.clear(), [("removed", 1, 10)]),
    ("inserted", lambda a: a.insert(4, b'{"n":99}\n'), [("inserted", 0, 0)]),
    ("garbage inserted", lambda a: a.insert(4, b"garbage\n"), [("inserted", 0, 0)]),
    ("an empty line", lambda a: a.insert(4, b"\n"), [("inserted", 0, 0)]),
    ("repeated", lambda a: a.insert(4, a[2]), [("inserted", 3, 3)]),
    ("appended", lambda a: a.append(b'{"n":99}\n'), [("inserted", 0, 0)]),
    ("moved", lambda a: a.insert(7, a.pop(3)), [("reordered", 4, 4)]),
    ("exchanged", lambda a: a.insert(4, a.pop(5)), [("reordered", 5, 5)]),
]


@pytest.mark.parametrize("max_bytes", [0, 500])
@pytest.mark.parametrize(
    ("meddle", "expected"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES]
)
def test_what_was_done_to_which_record(
    trail: TrailFiles,
    meddle: Callable[[list[bytes]], None],
    expected: list[tuple[str, int, int]],
    max_bytes: int,
) -> None:
    trail.write(10, max_bytes=max_bytes)
    lines = trail.lines()
    meddle(lines)
    trail.rewrite(lines)
    assert trail.problems() == expected


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_change_stays_hidden(
    tmp_path_factory: pytest.TempPathFactory, any_: random.Random
) -> None:
    trail = TrailFiles(tmp_path_factory.mktemp("trail"))
    trail.write(12, max_bytes=any_.choice([0, 400]))
    lines = before = trail.lines()
    lines = list(lines)
    for _ in range(any_.randint(1, 3)):
        place = any_.randrange(len(lines) or 1)
        match any_.choice("cdims"):
            case "c" if lines:
                line = bytearray(lines[place])
                line[any_.randrange(len(line) - 1)] ^= 1 << any_.randrange(7)
                lines[place] = bytes(line).replace(b"\n", b"") + b"\n"
            case "d" if lines:
                del lines[place]
            case "i":
                lines.insert(place, any_.choice([b"{}\n", b"x\n", *before]))
            case "m" if lines:
                lines.insert(any_.randrange(len(lines)), lines.pop(place))
            case _:
                any_.shuffle(lines)
    trail.rewrite(lines)
    assert bool(trail.problems()) == (trail.lines() != before)


def test_a_chain_that_was_worked_out_anew(trail: TrailFiles) -> None:
    trail.write(5)
    trail.write(5)
    link, forged = Link(), []
    for number in range(10):
        line, link = extend(b'{"n":%d}\n' % (99 if number == 6 else number % 5), link)
        forged.append(line)
    trail.rewrite(forged)
    assert trail.problems() == [("changed", 6, 10)], "the first five are as they were signed"


def test_records_that_come_after_a_loss_do_not_hide_it(trail: TrailFiles) -> None:
    trail.write(10)
    trail.rewrite(trail.lines()[:7])
    trail.write(5)
    assert trail.problems() == [("removed", 8, 10)]
    assert json.loads(trail.lines()[-1])["sequence"] == 15


def test_what_was_taken_off_the_end_with_the_checkpoints(trail: TrailFiles, tmp_path: Path) -> None:
    trail.write(5)
    checkpoints = trail.checkpoints.read_bytes()
    trail.write(5)
    kept_elsewhere = tmp_path / "copy"
    kept_elsewhere.write_bytes(trail.checkpoints.read_bytes())
    trail.rewrite(trail.lines()[:5])
    trail.checkpoints.write_bytes(checkpoints)
    assert trail.problems() == [], "nothing here tells"
    trail.checkpoints = kept_elsewhere
    assert trail.problems() == [("removed", 6, 10)]


def test_checkpoints_that_are_not_genuine(trail: TrailFiles) -> None:
    trail.write(5)
    line = trail.checkpoints.read_bytes()
    trail.checkpoints.write_bytes(line.replace(b'"sequence":5', b'"sequence":4'))
    assert [each[0] for each in trail.problems()] == ["checkpoint"]
    trail.checkpoints.write_bytes(b"")
    assert [each[0] for each in trail.problems()] == ["checkpoint"]
    trail.checkpoints.write_bytes(line)
    (trail.directory / "other").mkdir()
    stranger = load_key(trail.directory / "other" / "key")
    _, findings = trail.verify(stranger.public)
    assert [each.kind for each in findings if each.is_problem] == [FindingKind.CHECKPOINT]
    forged = stranger.sign(9, "0" * 64, 1)
    trail.checkpoints.write_bytes(line + forged.to_line())
    assert [each[0] for each in trail.problems()] == ["checkpoint"]


def test_a_key_that_was_replaced(trail: TrailFiles) -> None:
    trail.write(5)
    old = load_key(trail.key).public
    trail.key.unlink()
    trail.write(5)
    new = load_key(trail.key).public
    assert read_public_keys(public_key_file(trail.key)) == [old, new]
    assert trail.verify()[1] == []
    assert [each.kind for each in trail.verify(new)[1]] == [FindingKind.CHECKPOINT]


def test_files_of_the_node_are_its_own(trail: TrailFiles) -> None:
    before = os.umask(0o027)
    try:
        trail.write(20, max_bytes=500)
    finally:
        os.umask(before)
    public = public_key_file(trail.key)
    modes = {path: path.stat().st_mode & 0o777 for path in trail.directory.iterdir()}
    del modes[public]
    assert modes.pop(trail.key) == 0o600
    assert set(modes.values()) == {0o640}


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_key_that_cannot_be_used(trail: TrailFiles, content: bytes) -> None:
    trail.key.write_bytes(content)
    trail.key.chmod(0o600)
    file = trail.open()
    with pytest.raises(KeyFileError, match=r"correct `key` in \[plugin.audit-json\]"):
        file.write([b"{}\n"])
    with pytest.raises(KeyFileError):
        file.close()


def test_removal_as_configured_is_no_loss(trail: TrailFiles) -> None:
    trail.write(40, max_bytes=400, backups=2)
    assert len(trail.files) == 3
    assert trail.verify()[1] == []
    list_backups(trail.path)[0].unlink()
    [(kind, first, last)] = trail.problems()
    assert kind == "removed"
    assert last >= first > 1


def test_a_batch_that_fills_many_files(trail: TrailFiles) -> None:
    file = trail.open(max_bytes=400, backups=2)
    file.write([b'{"n":%d}\n' % number for number in range(40)])
    file.close()
    assert trail.verify()[1] == []


def test_records_from_before_the_chain(trail: TrailFiles) -> None:
    trail.path.write_bytes(b'{"old":1}\n{"old":2}\n')
    trail.write(3)
    _, findings = trail.verify()
    assert [each.kind for each in findings] == [FindingKind.UNPROTECTED]
    trail.rewrite([b'{"old":1}\n', b'{"old":3}\n', *trail.lines()[2:]])
    assert trail.problems() == [("changed", 1, 1)]


@pytest.mark.parametrize("rest", [b'{"n":5,"sequ', b"\0" * 100, b'{"n":5}'])
def test_half_a_record_is_no_tampering(trail: TrailFiles, rest: bytes) -> None:
    trail.write(5)
    with trail.path.open("ab") as file:
        file.write(rest)
    if rest != b'{"n":5}':
        assert [each.kind for each in trail.verify()[1]] == [FindingKind.TORN]
    trail.write(5)
    if rest != b'{"n":5}':  # which is a whole object, of nobody who writes here
        assert [each.kind for each in trail.verify()[1]] == [FindingKind.TORN]
    trail.write(5)
    lines = trail.lines()
    trail.rewrite([*lines[:5], b"other half\n", *lines[6:]])
    assert trail.problems() != [], "the digest of half a record is in the chain"


def test_the_end_is_found_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a"
    line, link = extend(b'{"x":"%s"}\n' % (b"y" * 200_000), Link(6, "1" * 64))
    path.write_bytes(b'{"first":1}\n' + line + b"torn " * 30_000)
    with path.open("rb") as file:
        end = find_end(file.fileno())
    assert end == Link(7, digest_line(b"torn " * 30_000))
    path.write_bytes(b'{"first":1}\n' + line)
    with path.open("rb") as file:
        assert find_end(file.fileno()) == link


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from pacs_audit_json.chained import ChainWriter
from pacs_audit_json.rotating import RotatingFile

directory = Path(sys.argv[1])
chain = ChainWriter(directory / "key", directory / "checkpoints", 0.05)
file = RotatingFile(directory / "a", max_bytes=20_000, backups=0, fsync=False, chain=chain)
file.open()
print("ready", flush=True)
number = 0
while True:
    name = sys.argv[2].encode()
    file.write([b'{"process":"%s","n":%d}\\n' % (name, number + n) for n in range(3)])
    number += 3
"""


def test_processes_that_are_killed_leave_one_whole_chain(trail: TrailFiles) -> None:
    for attempt in range(3):
        children = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    WRITE_UNTIL_KILLED,
                    str(trail.directory),
                    f"{attempt}{name}",
                ],
                stdout=subprocess.PIPE,
            )
            for name in "XY"
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
        time.sleep(0.2)
        for child in children:
            child.send_signal(signal.SIGKILL)
        for child in children:
            child.communicate()
        result, findings = trail.verify()
        assert [each for each in findings if each.is_problem] == []
    assert len(trail.files) > 1
    records = [json.loads(line) for line in trail.lines()]
    assert [each["sequence"] for each in records] == list(range(1, len(records) + 1))
    assert result.highest == len(records)


@pytest.mark.parametrize("step", ["rename", "_reopen"])
def test_a_process_that_is_killed_as_it_sets_a_file_aside(
    trail: TrailFiles, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Records of a batch are in the file already, and the head does not know of them."""
    trail.write(3)
    killed = trail.open(max_bytes=2_000)
    monkeypatch.setattr(Path if step == "rename" else RotatingFile, step, fail_as_if_killed)
    with pytest.raises(KeyboardInterrupt):
        killed.write([b'{"n":%d}\n' % number for number in range(100)])
    monkeypatch.undo()
    trail.write(3, max_bytes=2_000)
    assert trail.problems() == []
    numbers = [json.loads(line)["sequence"] for line in trail.lines()]
    assert numbers == list(range(1, len(numbers) + 1))


def fail_as_if_killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_it_can_be_verified_while_it_grows(trail: TrailFiles) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, str(trail.directory), "X"],
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            highest = 0
            for _ in range(5):
                result, findings = trail.verify()
                assert [each for each in findings if each.is_problem] == []
                assert result.highest >= highest
                highest = result.highest
        finally:
            child.kill()


def test_what_is_set_aside_before_it_is_read_is_read_all_the_same(trail: TrailFiles) -> None:
    trail.write(5)
    snapshot = take_snapshot(trail.path, trail.checkpoints)
    trail.path.rename(trail.directory / "a.1")
    trail.write(5)
    assert len(list(snapshot.lines())) == 5
    (trail.directory / "a.1").unlink()
    with pytest.raises(FileNotFoundError, match="do so again"):
        list(snapshot.lines())


def test_a_file_that_somebody_moved_is_missed_until_it_is_back(trail: TrailFiles) -> None:
    trail.write(5)
    moved = trail.directory / "moved"
    trail.path.rename(moved)
    trail.write(5)
    assert trail.problems() == [("removed", 1, 5)]
    moved.rename(trail.directory / "a.1")
    assert trail.problems() == []


@given(st.binary())
def test_lines_that_are_no_checkpoint(line: bytes) -> None:
    assert parse_checkpoint(line) is None
