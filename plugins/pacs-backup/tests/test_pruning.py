"""What is forgotten, what stays, and what of the contents."""

import pytest
from hypothesis import given, settings, strategies as st
from pacs_backup.pruning import Pruning, Rules
from pacs_backup.repository import NAME_FORMAT, BackupError, Entry, NewBackup, Repository

pytestmark = pytest.mark.anyio


async def content(data):
    yield data


async def back_up(repository, name, *contents):
    with NewBackup(repository, name) as backup:
        for number, data in enumerate(contents):
            sha256, size = await repository.add(content(data))
            backup.add(Entry("object", str(number), size, sha256))
        backup.finish()


def day(number, hour=12):
    return f"2026-11-{number:02}T{hour:02}-00-00.000000Z"


@pytest.fixture
async def repository(tmp_path):
    """Three days; the first and the second share a content."""
    repository = Repository(tmp_path / "backups")
    await back_up(repository, day(1), b"shared", b"first")
    await back_up(repository, day(2), b"shared", b"second")
    await back_up(repository, day(3), b"third")
    return repository


def contents(repository):
    return sorted(path.read_bytes() for path in repository.files())


async def test_what_another_backup_has_stays(repository):
    (repository.lists / "2026.partial").touch()  # of one that was killed
    pruning = Pruning.plan(repository, Rules(last=2))
    assert (pruning.kept, pruning.forgotten) == ([day(2), day(3)], [day(1)])
    assert len(contents(repository)) == 5  # nothing was done so far
    pruning.run()
    assert contents(repository) == [b"second", b"shared", b"third"]
    assert repository.names == [day(2), day(3)]


async def test_killed_in_between_the_next_run_deletes_the_rest(repository):
    repository.list_of(day(1)).unlink()
    pruning = Pruning.plan(repository, Rules(last=9))
    assert pruning.forgotten == []
    pruning.run()
    assert contents(repository) == [b"second", b"shared", b"third"]


async def test_the_last_good_one_is_never_forgotten(repository):
    (entry,) = repository.entries(day(3))
    repository.path(entry.sha256).unlink()
    pruning = Pruning.plan(repository, Rules(last=1))
    assert pruning.kept == [day(2), day(3)]


async def test_a_list_that_cannot_be_read_keeps_everything(repository):
    repository.list_of(day(3)).write_text("{")
    with pytest.raises(BackupError, match="nothing is deleted as long as"):
        Pruning.plan(repository, Rules(last=1))
    # A damaged one that goes is no hindrance.
    repository.list_of(day(1)).write_text("{")
    repository.list_of(day(3)).unlink()
    Pruning.plan(repository, Rules(last=1)).run()
    assert contents(repository) == [b"second", b"shared"]


async def test_one_at_a_time_and_readers_keep_it_from_deleting(repository):
    def read():
        return repository.locked(shared=True)

    with repository.locked():
        for shared in (True, False):
            with pytest.raises(BackupError, match="at work"), repository.locked(shared=shared):
                pass
    with read(), read(), pytest.raises(BackupError, match="at work"), repository.locked():
        pass


def test_rules_keep_the_latest_of_each_period():
    names = [day(number, hour) for number in range(1, 31) for hour in (3, 15)]
    assert Rules(daily=2).keep(names) == {day(30, 15), day(29, 15)}
    # ISO 8601 weeks begin on Monday; 2026-11-29 is a Sunday.
    assert Rules(weekly=2).keep(names) == {day(30, 15), day(29, 15)}
    assert Rules(weekly=3).keep(names) == {day(30, 15), day(29, 15), day(22, 15)}
    assert Rules(monthly=5).keep([*names, "2026-10-01T00-00-00.000000Z"]) == {
        day(30, 15), "2026-10-01T00-00-00.000000Z",
    }  # fmt: skip
    assert Rules(last=1).keep(["by hand", *names]) == {"by hand", day(30, 15)}


@settings(max_examples=30)
@given(st.lists(st.datetimes(), unique=True), st.builds(Rules, *[st.integers(0, 4)] * 5))
def test_no_rule_keeps_more_than_it_says(times, rules):
    names = {each.strftime(NAME_FORMAT) for each in times if each.year > 999}
    kept = rules.keep(names)
    assert kept <= names
    most = rules.last + rules.daily + rules.weekly + rules.monthly + rules.yearly
    assert len(kept) <= most
    if names and most:
        assert max(names) in kept
