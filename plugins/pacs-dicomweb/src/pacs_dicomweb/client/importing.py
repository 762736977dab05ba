"""Takes over what a DICOMweb server has into this machine's archive.

Theory of operation
-------------------
Studies are listed page by page (QIDO-RS, PS3.18 §8.3.4.4): see :meth:`.DicomWebClient.search_all`.

Of each study the instances are listed, and looked for in the index: what is here already, by its
study and SOP Instance UID, is not fetched again. So an import that was interrupted goes on. If
nothing of a study is here it is retrieved in one request, else instance by instance. Where that one
request fails, what is missing of the study is tried by itself, so that one instance that the server
cannot give keeps none of the others away. What was listed and has not come is a failure, and is
named.

A DICOMweb server tells no digest, so that what it sends can be held against nothing but its UIDs
and the end of the response. Archives may change attributes on the way out; what comes is kept.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Final

import anyio
from anyio.abc import ObjectReceiveStream
from attrs import define, field

from pacs_core.api.commands import OpenArchive, complain
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AccessDeniedError,
    AuditFailedError,
    Index,
    IngestError,
    InstancePath,
    Origin,
)
from pacs_core.dataset import ElementSet, tag_of
from pacs_core.dimse import is_valid_uid
from pacs_dicomweb.client.web_client import DicomWebClient, DicomWebError
from pacs_dicomweb.incoming import UnidentifiedError, read_file
from pacs_dicomweb.multipart import Part

_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")


@define
class WebImport:
    """An import that is under way.

    Attributes
    ----------
    opened : OpenArchive
    index : Index
    client : DicomWebClient
    origin : Origin
    parameters : sequence of (str, str)
        Of the query that says which studies are taken.
    outcomes : Counter of str
    """

    opened: OpenArchive
    index: Index
    client: DicomWebClient
    origin: Origin
    parameters: Sequence[tuple[str, str]] = ()
    outcomes: Counter[str] = field(factory=Counter)

    async def run(self, at_once: int) -> None:
        """Import everything, so many studies at a time.

        Raises
        ------
        DicomWebError
            The studies cannot be listed; those that could be are taken.
        """
        failure: DicomWebError | None = None
        send, receive = anyio.create_memory_object_stream[str](at_once)
        async with anyio.create_task_group() as tasks, send:
            for _ in range(at_once):
                tasks.start_soon(self._work, receive.clone())
            receive.close()
            try:
                async for match in self._list("studies", self.parameters, _STUDY):
                    await send.send(_uid(match, _STUDY))
            except DicomWebError as error:
                failure = error
        if failure is not None:
            raise failure

    async def _work(self, studies: ObjectReceiveStream[str]) -> None:
        async with studies:
            async for study in studies:
                try:
                    await self._take_study(study)
                except DicomWebError as error:
                    self._fail(f"study {study}", str(error))

    async def _list(
        self, path: str, parameters: Sequence[tuple[str, str]], key: int
    ) -> AsyncIterator[ElementSet]:
        """Yield what is found."""
        async with closing(self.client.search_all(path, key, parameters)) as matches:
            async for match in matches:
                if not is_valid_uid(_uid(match, key)):  # it becomes part of a URL
                    raise DicomWebError(f"{self.client.peer.url} lists what has no UID in {path}")
                yield match

    async def _take_study(self, study: str) -> None:
        missing: dict[str, str] = {}
        known = 0
        async for match in self._list(f"studies/{study}/instances", (), _INSTANCE):
            uid = _uid(match, _INSTANCE)
            if await self.index.locate(InstancePath(study, uid)) is None:
                missing[uid] = _uid(match, _SERIES)
            else:
                known += 1
        self.outcomes["known"] += known
        if not missing and not known:
            # A server may list a study and none of its instances, and still give them.
            before = self.outcomes.total()
            await self._retrieve(f"studies/{study}", study, missing)
            if self.outcomes.total() == before:
                self._fail(f"study {study}", "no instance of it is listed, and none comes")
        if missing and not known:
            try:
                await self._retrieve(f"studies/{study}", study, missing)
            except DicomWebError as error:
                if len(missing) > 1:
                    complain(f"study {study}: {error}: its instances are asked for one by one")
        for uid, series in list(missing.items()):
            path = f"studies/{study}/series/{series}/instances/{uid}"
            try:
                await self._retrieve(path, study, missing)
            except DicomWebError as error:
                missing.pop(uid, None)
                self._fail(uid, str(error))
            else:
                if missing.pop(uid, None) is not None:
                    self._fail(uid, "it is listed, and does not come")

    async def _retrieve(self, path: str, study: str, missing: dict[str, str]) -> None:
        """Retrieve, and take out of what is missing whatever came."""
        async with self.client.retrieve(path) as parts:
            async for part in parts:
                await self._take(part, study, missing)

    async def _take(self, part: Part, study: str, missing: dict[str, str]) -> None:
        try:
            file = await read_file(aiter(part), study)
        except UnidentifiedError as error:
            # Whichever it is: it is still missing, and asked for by itself.
            complain(f"study {study}: {error}")
            return
        uid = file.sop_instance_uid
        try:
            result = await self.opened.archive.on_behalf_of(self.origin).ingest(
                file.dataset,
                transfer_syntax_uid=file.transfer_syntax_uid,
                sop_class_uid=file.sop_class_uid,
                sop_instance_uid=uid,
                origin=self.origin,
            )
        except (AccessDeniedError, IngestError, AuditFailedError, OSError) as error:
            self._fail(uid, str(error))
        else:
            self.outcomes[result.outcome.value] += 1
        missing.pop(uid, None)

    def _fail(self, what: str, reason: str) -> None:
        self.outcomes["failed"] += 1
        complain(f"{what}: {reason}")


def _uid(match: ElementSet, tag: int) -> str:
    return next(iter(match.texts(tag)), "")
