"""Identities of a node: who has the password, the token, the session that is presented.

Theory of operation
-------------------
All state is in a file that workers share (`database.py`); whatever touches it runs in one thread,
and hashing of passwords in two others. Between the look at how long a name or an address has to
wait and the count of its failure lies the hashing, of which there are two at a time in a worker: so
many guesses at most slip through where one would be allowed.

A name that nobody has, one that is disabled, and a wrong password take the same time and give the
same answer.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection
from time import time
from typing import Final, TypeVar

import anyio
from attrs import evolve

from pacs_auth_local import failures, sessions, tokens, users
from pacs_auth_local.auditing import FAILED, LOCKED, LOGIN, LOGOUT
from pacs_auth_local.bindings import Bindings
from pacs_auth_local.config import AuthLocalConfig
from pacs_auth_local.database import IdentityFile
from pacs_auth_local.names import is_name
from pacs_auth_local.passwords import (
    LONGEST,
    RecentPasswords,
    hash_password,
    is_password,
    should_rehash,
)
from pacs_auth_local.sessions import Session
from pacs_auth_local.users import User
from pacs_core.api.threads import Threads
from pacs_core.contracts import (
    AuditEvent,
    AuditTrail,
    AuditValue,
    Component,
    EventAction,
    Origin,
    Outcome,
    PluginAuditKind,
    Principal,
    Setup,
)

logger = logging.getLogger("pacs_auth_local")

T = TypeVar("T")

_HASHING: Final = 2
_MOST_WAITING: Final = 64


class SignInError(Exception):
    """Somebody is not who they say, or has to wait.

    Attributes
    ----------
    wait : float
        Seconds until the next try is looked at; 0 if it is at once.
    """

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class LocalIdentities(Component):
    """Users, tokens and sessions.

    Parameters
    ----------
    directory : Path
        The plugin's.
    config : AuthLocalConfig
    audit : AuditTrail
    """

    def __init__(self, directory: Path, config: AuthLocalConfig, audit: AuditTrail) -> None:
        self.config = config
        self.bindings = Bindings(config)
        self._file = IdentityFile(directory)
        self._audit = audit
        self._recent = RecentPasswords()
        self._queue = Threads(1, "auth-local")
        self._hashing = Threads(_HASHING, "auth-local-hashing")
        self._slots = anyio.CapacityLimiter(_HASHING)

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings; who is signed in, or has associated, stays so."""
        config = setup.config(AuthLocalConfig)
        self.bindings, self.config = Bindings(config), config

    async def stop(self) -> None:
        """See base."""
        await self._queue.run(self._file.close)
        self._queue.close()
        self._hashing.close()

    async def _read(self, function: Callable[[Connection], T], nothing: T) -> T:
        # Most nodes have neither users nor tokens, and each of their requests comes by here.
        return await self._queue.run(self._use, function, False) if self._file.exists else nothing

    async def _write(self, function: Callable[[Connection], T]) -> T:
        return await self._queue.run(self._use, function, True)

    def _use(self, function: Callable[[Connection], T], write: bool) -> T:
        with self._file.transaction(write=write) as connection:
            return function(connection)

    # --- who it is

    async def is_anybody_known(self) -> bool:
        """Tell whether there is a user or a token."""
        return await self._read(users.is_anybody_known, False)

    async def find_user(self, name: str) -> User | None:
        """Return a user who is not disabled."""
        if not is_name(name):
            return None
        user = await self._read(lambda each: users.find_user(each, name), None)
        return None if user is None or user.is_disabled else user

    async def check_password(self, name: str, password: str, origin: Origin) -> User:
        """Return the user whose name and password are given.

        Raises
        ------
        SignInError
            They are wrong, or there were too many wrong ones before.
        """
        if user := await self._find_recent(name, password):
            return user
        if self._slots.statistics().tasks_waiting >= _MOST_WAITING:
            raise SignInError("too many are signing in: try again", 5.0)
        async with self._slots:
            if user := await self._find_recent(name, password):
                return user
            return await self._check_slowly(name, password, origin)

    async def _find_recent(self, name: str, password: str) -> User | None:
        user = await self.find_user(name)
        return user if user and self._recent.knows(user.password, password) else None

    async def _check_slowly(self, name: str, password: str, origin: Origin) -> User:
        limits, host = self.config.lockout, origin.host
        wait = await self._read(lambda c: failures.waiting_time(c, name, host, limits), 0.0)
        if wait > 0:
            raise SignInError("too many failures: wait before the next try", wait)
        user = await self.find_user(name)
        hashed = user.password if user else None
        is_short = len(password.encode("utf-8", "surrogatepass")) <= LONGEST
        is_right = is_short and await self._hashing.run(is_password, hashed, password)
        if user is None or not is_right:
            wait = await self._write(lambda c: failures.count_failure(c, name, host, limits))
            await self._report_failure(name, origin, wait)
            raise SignInError("name or password is wrong", wait)
        self._recent.note(user.password, password)
        await self._write(lambda c: failures.forget_failures(c, name))
        if should_rehash(user.password):
            renewed = await self._hashing.run(hash_password, password)
            await self._write(lambda c: users.set_password(c, name, renewed))
        return user

    async def _report_failure(self, name: str, origin: Origin, wait: float) -> None:
        shown = name if is_name(name) else ""  # what is no name may be anything, even a password
        logger.warning("%s: %s: sign-in of %a failed", origin.association, origin.host, shown)
        await self._record(FAILED, Outcome.FAILURE, origin, {"name": shown})
        if wait:
            details: dict[str, AuditValue] = {"name": shown, "seconds": round(wait)}
            await self._record(LOCKED, Outcome.FAILURE, origin, details)

    async def check_token(self, said: str) -> Principal | None:
        """Return whose API token it is; None if it is none that is valid."""
        return await self._read(lambda each: tokens.check_token(each, said), None)

    # --- sessions

    async def find_session(self, said: str) -> Session | None:
        """Return the session that a cookie stands for, and let its idle time begin again."""
        idle = self.config.idle

        def find(connection: Connection) -> tuple[Session | None, bool]:
            session = sessions.find_session(connection, said, idle)
            return session, session is not None and sessions.is_stale(connection, said, idle)

        nothing: tuple[Session | None, bool] = (None, False)
        session, is_stale = await self._read(find, nothing)
        if is_stale:
            await self._write(lambda each: sessions.note_use(each, said))
        return session

    async def begin_session(
        self, principal: Principal, origin: Origin, owner: str | None, lifetime: float
    ) -> str:
        """Sign somebody in, and return what the cookie is to say.

        Raises
        ------
        AuditFailedError
            It could not be recorded: nobody is signed in.
        """
        origin = evolve(origin, principal=principal)
        await self._record(LOGIN, Outcome.SUCCESS, origin, {"method": principal.method})
        ends = time() + min(lifetime, self.config.absolute)
        return await self._write(lambda c: sessions.begin_session(c, principal, owner, ends))

    async def end_session(self, said: str, origin: Origin, *, everywhere: bool = False) -> None:
        """Sign somebody out; with `everywhere`, from all browsers."""
        session = await self.find_session(said)
        if session is None:
            return
        name = session.principal.name
        await self._write(lambda each: sessions.end_session(each, said))
        if everywhere:
            await self._write(lambda each: sessions.end_sessions_of(each, name))
        await self._record(LOGOUT, Outcome.SUCCESS, evolve(origin, principal=session.principal), {})

    async def _record(
        self,
        kind: PluginAuditKind,
        outcome: Outcome,
        origin: Origin,
        details: dict[str, AuditValue],
    ) -> None:
        action = EventAction.EXECUTE
        await self._audit.record(AuditEvent(kind, outcome, origin, details, action=action))
