"""A request to follow a step, or all of them, in transactions of its own.

Of two requests for the same receiver at the same time the database lets one enter what both found
missing. The other is made again, and then finds it there.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from attrs import frozen
from pacs_database.api import Database
from sqlalchemy.exc import IntegrityError

from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import InvalidKeyError, Restriction
from pacs_core.dataset import Attributes
from pacs_core.dimse import Status
from pacs_sop_ups.matching import conditions_of
from pacs_sop_ups.restricting import is_admitted
from pacs_sop_ups.rows import row_to_change, step_of, unknown
from pacs_sop_ups.searching import pages
from pacs_sop_ups.steps import ProcedureStep
from pacs_sop_ups.subscriptions import Subscriptions

_ATTEMPTS: Final = 10


@frozen
class Following:
    """Somebody who wants to be told of steps.

    Attributes
    ----------
    database : Database
    subscriptions : Subscriptions
    receiver : str
        AE title.
    has_lock : bool
        Whether its steps are not to be forgotten.
    restrictions : sequence of Restriction
        What steps exist for whoever asks.
    """

    database: Database
    subscriptions: Subscriptions
    receiver: str
    has_lock: bool
    restrictions: Sequence[Restriction]

    async def follow(self, instance_uid: str) -> None:
        """Follow one step (PS3.4 CC.2.3).

        Raises
        ------
        RefusedRequestError
            C307H.
        """

        async def work() -> None:
            async with self.database.begin() as connection:
                row = await row_to_change(connection, instance_uid)
                if row is None or not is_admitted(step_of(row), self.restrictions):
                    raise unknown()
                await self.subscriptions.follow(
                    connection, self.receiver, step_of(row), has_lock=self.has_lock
                )

        await _until_alone(work)

    async def follow_all(self, keys: Attributes) -> None:
        """Follow the steps that there are, and will be, and that match.

        Raises
        ------
        RefusedRequestError
            0115H: a key cannot be matched.
        """
        try:
            conditions_of(keys)
        except InvalidKeyError as error:
            raise RefusedRequestError(
                Status.INVALID_ARGUMENT_VALUE, error.comment, [error.tag]
            ) from error

        async def begin() -> None:
            async with self.database.begin() as connection:
                await self.subscriptions.subscribe_globally(
                    connection, self.receiver, keys, has_lock=self.has_lock
                )

        await _until_alone(begin)
        async for page in pages(self.database):
            steps = [step for step in page if is_admitted(step, self.restrictions)]
            await _until_alone(self._page(keys, steps))

    def _page(
        self, keys: Attributes, steps: Sequence[ProcedureStep]
    ) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            async with self.database.begin() as connection:
                await self.subscriptions.follow_page(
                    connection, self.receiver, keys, steps, has_lock=self.has_lock
                )

        return work


async def _until_alone(work: Callable[[], Awaitable[None]]) -> None:
    for _ in range(_ATTEMPTS - 1):
        try:
            return await work()
        except IntegrityError:
            continue
    return await work()
