"""Users, tokens, sessions and failures, as two workers and a command share them."""

import sqlite3
import stat
import subprocess
import sys
from time import time

import anyio
import pytest
from attrs import evolve
from pacs_auth_local import failures, sessions, tokens, users
from pacs_auth_local.api import page_of_this_site
from pacs_auth_local.bindings import BindingError, Bindings
from pacs_auth_local.config import AETitleRule, AuthLocalConfig, CertificateRule, Lockout
from pacs_auth_local.database import IdentityFile, IdentityFileError
from pacs_auth_local.identities import LocalIdentities, SignInError
from pacs_auth_local.names import is_name, key_of
from pacs_auth_local.passwords import hash_password
from pacs_auth_local.tokens import Token
from pacs_auth_local.users import User
from starlette.requests import Request

from pacs_core.contracts import Origin, Principal
from pacs_core.testing.operations import MemoryAuditTrail

pytestmark = pytest.mark.anyio

RIGHT, WRONG = "a password of alice", "another password"
ORIGIN = Origin("HTTP", host="192.0.2.7")
HASHED = hash_password(RIGHT)


@pytest.fixture
def file(tmp_path):
    file = IdentityFile(tmp_path / "auth-local")
    with file.transaction() as connection:
        users.add_user(connection, User("alice", HASHED, ("physicians",)))
    yield file
    file.close()


@pytest.fixture
async def worker(file):
    """Make workers of one node."""
    made = []

    def make(**config):
        one = LocalIdentities(file.path.parent, AuthLocalConfig(**config), MemoryAuditTrail())
        made.append(one)
        return one

    yield make
    for one in made:
        await one.stop()


async def fail(identities, name="alice", origin=ORIGIN):
    with pytest.raises(SignInError) as failure:
        await identities.check_password(name, WRONG, origin)
    return failure.value


# --- the file


def test_the_file_is_its_owners(file):
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    log = file.path.with_name(file.path.name + "-wal")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_folders_that_a_command_makes_are_their_owners(tmp_path):
    """Before any node has made them, and whatever the mask of the shell."""
    data = tmp_path / "data"
    command = [sys.executable, "-m", "pacs_core.cli.main", "users", "add", "alice"]
    subprocess.run(
        [*command, "--data", str(data)], input=f"{RIGHT}\n", text=True, check=True, umask=0o022,
        cwd=tmp_path,
    )  # fmt: skip
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (data / "auth-local", data)]
    assert modes == [0o700, 0o700]
    assert stat.S_IMODE((data / "audit" / "audit.jsonl").stat().st_mode) == 0o600


def test_what_fails_is_taken_back(file):
    def remove_and_fail():
        with file.transaction() as connection:
            users.remove_user(connection, "alice")
            raise KeyError

    with pytest.raises(KeyError):
        remove_and_fail()
    with file.transaction(write=False) as connection:
        assert users.find_user(connection, "alice") is not None


def test_a_file_that_is_none_or_of_a_later_version_is_refused(file):
    file.close()
    with sqlite3.connect(file.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IdentityFileError, match="later version"), file.transaction():
        pass
    file.path.write_bytes(b"garbage" * 1000)
    with pytest.raises(IdentityFileError, match="not a database"), file.transaction():
        pass


async def test_nothing_is_written_where_nobody_was_added(tmp_path):
    identities = LocalIdentities(tmp_path / "none", AuthLocalConfig(), MemoryAuditTrail())
    assert not await identities.is_anybody_known()
    assert await identities.find_session("x") is None
    assert await identities.check_token("pacs_x") is None
    await identities.stop()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "text", ["", " a", "a ", "a:b", "a\0", "a\nb", "x" * 65, "\u202ea", "\ud800"]
)
def test_what_is_no_name(text):
    assert not is_name(text)


@pytest.mark.parametrize("other", ["ALICE", "ａｌｉｃｅ", "Alice"])
def test_names_that_people_take_for_one(file, other):
    assert key_of(other) == key_of("alice")
    with file.transaction() as connection:
        assert not users.add_user(connection, User(other, HASHED))


# --- passwords


async def test_who_is_right_is_let_in_and_remembered(worker):
    identities = worker()
    assert (await identities.check_password("Alice", RIGHT, ORIGIN)).roles == ("physicians",)
    assert identities._recent.knows(HASHED, RIGHT)
    assert not identities._recent.knows(HASHED, WRONG)


async def test_a_changed_password_counts_at_once(worker, file):
    identities = worker()
    await identities.check_password("alice", RIGHT, ORIGIN)
    with file.transaction() as connection:
        users.set_password(connection, "alice", hash_password(WRONG))
    with pytest.raises(SignInError):
        await identities.check_password("alice", RIGHT, ORIGIN)
    await identities.check_password("alice", WRONG, ORIGIN)


async def test_a_disabled_user_is_out_at_once(worker, file):
    identities = worker()
    await identities.check_password("alice", RIGHT, ORIGIN)
    with file.transaction() as connection:
        users.set_disabled(connection, "alice", True)
    with pytest.raises(SignInError, match="name or password is wrong"):
        await identities.check_password("alice", RIGHT, ORIGIN)


async def test_answers_say_nothing_of_who_is_there(worker, file):
    with file.transaction() as connection:
        users.add_user(connection, User("gone", HASHED))
        users.set_disabled(connection, "gone", True)
    identities = worker()
    said = {str(await fail(identities, name)) for name in ("alice", "nobody", "gone", "\0", "")}
    assert said == {"name or password is wrong"}


async def test_a_name_that_nobody_has_is_hashed_all_the_same(worker, monkeypatch):
    """The time of an answer, too, says nothing of who is there."""
    asked = []
    from pacs_auth_local import identities as module

    def note(hashed, password):
        asked.append(hashed)
        return False

    monkeypatch.setattr(module, "is_password", note)
    await fail(worker(), "nobody")
    await fail(worker(), "alice")
    assert asked == [None, HASHED]


# --- guessing


async def test_who_guesses_a_password_has_to_wait_with_every_worker(worker):
    limits = Lockout(per_name=3)
    first, second = worker(lockout=limits), worker(lockout=limits)
    assert [(await fail(each)).wait for each in (first, second, first)] == [0, 0, 1]
    for each in (first, second):
        with pytest.raises(SignInError, match="wait") as failure:
            await each.check_password("alice", RIGHT, evolve(ORIGIN, host="192.0.2.8"))
        assert failure.value.wait > 0
    kinds = [event.kind.value for each in (first, second) for event in each._audit.events]
    assert sorted(kinds) == ["auth-local.failed"] * 3 + ["auth-local.locked"]


async def test_who_guesses_names_has_to_wait(worker):
    identities = worker(lockout=Lockout(per_address=3))
    for name in ("a", "b", "c"):
        await fail(identities, name)
    with pytest.raises(SignInError, match="wait"):
        await identities.check_password("alice", RIGHT, ORIGIN)
    await identities.check_password("alice", RIGHT, evolve(ORIGIN, host="192.0.2.8"))


def test_waits_grow_up_to_the_longest_and_end(file):
    limits = Lockout(per_name=2, longest=10.0)
    with file.transaction() as connection:
        waits = [failures.count_failure(connection, "alice", "h", limits) for _ in range(7)]
        assert waits == [0, 1, 2, 4, 8, 10, 10]
        assert 9 < failures.waiting_time(connection, "alice", "x", limits) <= 10
        failures.forget_failures(connection, "ALICE")
        assert failures.waiting_time(connection, "alice", "x", limits) == 0
        connection.execute("UPDATE failure SET last = last - 11, until = until - 11")
        assert failures.count_failure(connection, "bob", "h", limits) == 0


def test_guesses_with_ever_other_names_fill_nothing(file, monkeypatch):
    monkeypatch.setattr(failures, "_MOST", 10)
    with file.transaction() as connection:
        for number in range(50):
            failures.count_failure(connection, f"n{number}" * 1000, "h", Lockout())
        (count,) = connection.execute("SELECT count(*) FROM failure").fetchone()
    assert count == 10


async def test_right_ones_reset_the_name_and_not_the_address(worker, file):
    identities = worker(lockout=Lockout(per_name=3, per_address=3))
    await fail(identities)
    await fail(identities)
    await identities.check_password("alice", RIGHT, ORIGIN)
    assert (await fail(identities)).wait == 1  # the third of the address


async def test_many_who_are_right_at_the_same_time(worker):
    identities = worker()
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(identities.check_password, "alice", RIGHT, ORIGIN)


# --- tokens


def token(file, **fields):
    made = evolve(Token("", "m1", None, ("readers",), None, 0.0, time() + 60), **fields)
    with file.transaction() as connection:
        return tokens.create_token(connection, made)


async def test_a_token_is_who_it_says_until_it_is_revoked(worker, file):
    identities = worker()
    said = token(file, actions=("query",))
    principal = await identities.check_token(said)
    assert (principal.name, principal.roles) == ("m1", {"readers"})
    assert principal.actions == {"query"}
    assert said.split("_", 2)[2].encode() not in file.path.read_bytes()
    with file.transaction() as connection:
        assert tokens.revoke_token(connection, said.split("_")[1])
    assert await identities.check_token(said) is None


async def test_tokens_that_are_none(worker, file):
    identities = worker()
    said = token(file)
    for each in (
        said[:-1],
        said + "x",
        said.upper(),
        said.replace("pacs_", "pacs_0"),
        "",
        "pacs__",
    ):
        assert await identities.check_token(each) is None
    assert await identities.check_token(token(file, name="m2", expires=time() - 1)) is None


async def test_a_token_of_a_user_has_no_more_than_the_user(worker, file):
    identities = worker()
    said = token(file, owner=key_of("alice"), roles=("physicians", "administrators"))
    every = token(file, name="m2", owner=key_of("alice"), roles=())
    principal = await identities.check_token(said)
    assert (principal.name, principal.roles) == ("alice", {"physicians"})
    assert (await identities.check_token(every)).roles == {"physicians"}
    with file.transaction() as connection:
        users.set_disabled(connection, "alice", True)
    assert await identities.check_token(said) is None
    with file.transaction() as connection:
        users.remove_user(connection, "alice")
        assert tokens.all_tokens(connection) == []


# --- sessions


async def test_a_session_ends_with_its_idle_time_and_its_whole_time(worker, file):
    identities = worker(idle=100.0, absolute=1000.0)
    principal = Principal("alice", method="password")
    said = await identities.begin_session(principal, ORIGIN, "alice", 1000.0)
    assert (await identities.find_session(said)).principal.roles == {"physicians"}
    _let_pass(file, 99)
    assert await identities.find_session(said) is not None  # and the idle time begins again
    _let_pass(file, 99)
    assert await identities.find_session(said) is not None
    _let_pass(file, 101)
    assert await identities.find_session(said) is None
    said = await identities.begin_session(principal, ORIGIN, "alice", 5000.0)
    for _ in range(11):
        _let_pass(file, 90)
        assert await identities.find_session(said) is not None
    _let_pass(file, 90)
    assert await identities.find_session(said) is None


def _let_pass(file, seconds):
    with file.transaction() as connection:
        connection.execute(
            "UPDATE session SET seen = seen - ?, ends = ends - ?", (seconds, seconds)
        )


async def test_a_session_is_over_for_every_worker_when_it_is_ended(worker, file):
    first, second = worker(), worker()
    principal = Principal("alice", method="password")
    said = await first.begin_session(principal, ORIGIN, "alice", 60.0)
    other = await first.begin_session(principal, ORIGIN, "alice", 60.0)
    assert said != other
    assert await second.find_session(said) is not None
    await first.end_session(said, ORIGIN)
    assert await second.find_session(said) is None
    third = await first.begin_session(principal, ORIGIN, "alice", 60.0)
    await first.end_session(other, ORIGIN, everywhere=True)
    assert await second.find_session(third) is None
    assert said.encode() not in file.path.read_bytes()


async def test_what_a_user_loses_sessions_lose(worker, file):
    identities = worker()
    principal = Principal("alice", frozenset({"physicians"}), "password")
    said = await identities.begin_session(principal, ORIGIN, "alice", 60.0)
    with file.transaction() as connection:
        connection.execute("""UPDATE user SET roles = '["students"]'""")
    assert (await identities.find_session(said)).principal.roles == {"students"}
    with file.transaction() as connection:
        users.set_disabled(connection, "alice", True)
    assert await identities.find_session(said) is None


async def test_a_session_of_somebody_from_elsewhere(worker, file):
    """Users of that name here are somebody else."""
    identities = worker()
    principal = Principal("alice", frozenset({"x"}), "oidc", {"iss": "i"}, frozenset({"query"}))
    said = await identities.begin_session(principal, ORIGIN, None, 60.0)
    assert (await identities.find_session(said)).principal == principal
    with file.transaction() as connection:
        sessions.end_sessions_of(connection, "alice")
    assert await identities.find_session(said) is not None


# --- where to go afterwards


def _request(base=""):
    return Request({"type": "http", "root_path": base, "headers": []})


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example/",
        "/%0d%0a\r\nX: 1", "javascript:alert(1)", "/\t/evil.example", "", "x", "/" + "x" * 5000,
        "/ü", " //evil.example",
    ],
)  # fmt: skip
def test_targets_of_other_sites_are_none(target):
    assert page_of_this_site(_request(), target) == "/"


def test_targets_are_below_the_base():
    assert page_of_this_site(_request(), "/ui/studies?q=a%20b") == "/ui/studies?q=a%20b"
    assert page_of_this_site(_request("/pacs"), "/pacs/ui/") == "/pacs/ui/"
    assert page_of_this_site(_request("/pacs"), "/other/") == "/pacs/"


# --- bindings


def test_ae_titles_are_bound_to_networks():
    rule = AETitleRule("CT1", ("192.0.2.0/24", "2001:db8::/32"), "ct-1", ("modalities",))
    bindings = Bindings(AuthLocalConfig(ae=(rule,)))
    for host in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:db8::1%eth0"):
        found = bindings.find(Origin("DIMSE", "CT1", host=host))
        assert found == Principal("ct-1", frozenset({"modalities"}), "ae-title")
    for host in ("192.0.3.7", "::1", "", "garbage", "2001:db9::1"):
        with pytest.raises(BindingError, match="may not come from"):
            bindings.find(Origin("DIMSE", "CT1", host=host))
    assert bindings.find(Origin("DIMSE", "CT2", host="192.0.3.7")) is None
    strict = Bindings(AuthLocalConfig(ae=(rule,), unbound_ae_titles=False))
    with pytest.raises(BindingError, match="no table"):
        strict.find(Origin("DIMSE", "CT2", host="192.0.2.7"))


def test_tables_that_mean_nothing_are_named():
    config = AuthLocalConfig(
        ae=(
            AETitleRule("CT1", ("192.0.2.1/24",)),
            AETitleRule("CT1", ()),
            AETitleRule("", ("::/0",)),
        ),
        certificate=(CertificateRule("x"), CertificateRule("", subject="CN=y")),
    )
    problems = "\n".join(config.problems())
    for expected in (
        "two tables",
        "has host bits set",
        "nowhere",
        "no AE title",
        "by subject",
        "no name",
    ):
        assert expected in problems
    assert list(AuthLocalConfig().problems()) == []
