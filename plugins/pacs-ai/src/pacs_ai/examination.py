"""Examination of results: what the archive and the records know of them, for the checks."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from pacs_ai.checking import Source, Surroundings, check_result, references_of
from pacs_ai.desk import AiDesk
from pacs_ai.findings import Fault, Finding, Verdict
from pacs_ai.models import InferenceRequest, RequestFilter, RequestState
from pacs_core.api.streams import closing
from pacs_core.contracts import Level, Query, UidList
from pacs_core.dataset import tag_of, texts

if TYPE_CHECKING:
    from pydicom import Dataset

_INSTANCE, _SERIES, _CLASS = map(tag_of, ("SOPInstanceUID", "SeriesInstanceUID", "SOPClassUID"))
_OPEN: Final = (RequestState.WAITING, RequestState.ASKED, RequestState.ANSWERED)
_PAGE: Final = 500
_RECENT: Final = 200


class Examiner:
    """Looks at results.

    Parameters
    ----------
    desk : AiDesk
    """

    def __init__(self, desk: AiDesk) -> None:
        self._desk = desk
        self._node = desk.node
        self._records = desk.records

    async def count(self, request: InferenceRequest) -> list[Finding]:
        """Return what is wrong with how many results a request has, one more included."""
        most, wanted = (
            self._desk.service(request.service).max_results,
            RequestFilter(request=request.number),
        )
        found = [each async for each in self._records.results(wanted, most)]
        if len(found) < most:
            return []
        return [Finding(Fault.SIZE, f"the request has {most} results already")]

    async def find_request(self, service: str, dataset: "Dataset") -> InferenceRequest | None:
        """Return the request that a result which came by itself is the answer to."""
        references, study = set(references_of(dataset)), str(dataset.get("StudyInstanceUID", ""))
        wanted = RequestFilter(service, states=tuple(map(str, _OPEN)))
        same_study: InferenceRequest | None = None
        async with closing(self._records.requests(wanted, _RECENT)) as requests:
            async for request in requests:
                if references & {each.instance_uid for each in request.inputs}:
                    return request
                names = await self._records.names_of(request.number)
                if references & names.keys() or study in names:
                    return request
                if request.study_uid == study and same_study is None:
                    same_study = request
        return same_study

    async def check(self, service: str, dataset: "Dataset", source: Source | None) -> Verdict:
        """Say what is to be thought of a result of a service."""
        study, uid = str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)
        uids = [uid, *references_of(dataset)]
        known: dict[str, str] = {}
        for start in range(0, len(uids), _PAGE):
            part = UidList(_INSTANCE, tuple(uids[start : start + _PAGE]))
            known.update(await self._search(part))
        in_series = await self._search(UidList(_SERIES, (str(dataset.SeriesInstanceUID),)))
        ours = await self._records.result_uids(source.study_uid if source else study)
        around = Surroundings(known, bool(in_series.keys() - ours), ours, datetime.now())
        algorithm = self._desk.service(service).algorithm
        try:
            return await anyio.to_thread.run_sync(
                lambda: check_result(dataset, source, around, algorithm=algorithm)
            )
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            # Values are converted when they are looked at: what makes no sense is found here.
            text = f"its attributes make no sense: {str(error)[:200]}"
            return Verdict((Finding(Fault.UNREADABLE, text),))

    async def _search(self, condition: UidList) -> dict[str, str]:
        found: dict[str, str] = {}
        query = Query(Level.IMAGE, (condition,), frozenset({_INSTANCE, _CLASS}))
        async with closing(self._node.archive.search(query)) as matches:
            async for match in matches:
                found[texts(match, _INSTANCE)[0]] = "".join(texts(match, _CLASS)[:1])
        return found
