"""Operations on film sessions and film boxes (PS3.4 H.4.1, H.4.2)."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import anyio
from pydicom import Dataset
from pydicom.uid import generate_uid

from pacs_core.contracts import Node, Operation, Response
from pacs_core.dimse import DimseError, Status, is_valid_uid
from pacs_sop_print.attributes import (
    FILM_BOX_RULES,
    FILM_SESSION_RULES,
    Warnings,
    annotations_of,
    apply,
    require,
    tag_of,
    to_dataset,
    value_of,
)
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.films import Film, PrintJob
from pacs_sop_print.interface import PrintQueue, QueueFullError
from pacs_sop_print.layout import LayoutError, count_boxes, placement_statuses
from pacs_sop_print.session import (
    AnnotationBox,
    FilmBox,
    FilmSession,
    ImageBox,
    Instance,
    LutInstance,
    Printing,
)
from pacs_sop_print.sop_classes import (
    ANNOTATION_BOX,
    COLOR_IMAGE_BOX,
    COLOR_META,
    FILM_BOX,
    FILM_SESSION,
    GRAYSCALE_IMAGE_BOX,
    PRESENTATION_LUT,
    PRINT_JOB,
)
from pacs_sop_print.statuses import PrintStatus

_SESSION, _LUT = "ReferencedFilmSessionSequence", "ReferencedPresentationLUTSequence"


def new_uid(printing: Printing, operation: Operation) -> str:
    """Return the UID of an instance that is created: the requestor's, or a new one.

    Raises
    ------
    DimseError
        It is none (0117H), or in use (0111H).
    """
    uid = operation.command.affected_sop_instance_uid
    if not uid:
        return str(generate_uid(None))
    if not is_valid_uid(uid):
        raise DimseError(Status.INVALID_SOP_INSTANCE, "Affected SOP Instance UID is no UID")
    if uid in printing.instances:
        raise DimseError(Status.DUPLICATE_SOP_INSTANCE, "Affected SOP Instance UID is in use")
    return uid


def answer(warnings: Warnings, dataset: Dataset, uid: str | None = None) -> Response:
    """Return the response to N-CREATE and N-SET: the attributes as they are used."""
    is_list = warnings.status == Status.ATTRIBUTE_LIST_ERROR
    return Response(
        warnings.status,
        dataset,
        affected_sop_instance_uid=uid,
        attribute_identifier_list=tuple(warnings.tags) if is_list else (),
    )


def find_lut(printing: Printing, given: Dataset) -> LutInstance | None:
    """Return the Presentation LUT that a dataset refers to, if it does.

    Raises
    ------
    DimseError
        There is no such instance.
    """
    sequence = value_of(given, _LUT)
    if sequence is None:
        return None
    uid = str(require(sequence[0], "ReferencedSOPInstanceUID"))
    found = printing.instances.get(uid)
    if not isinstance(found, LutInstance):
        comment = "There is no such Presentation LUT"
        raise DimseError(Status.INVALID_ATTRIBUTE_VALUE, comment, (tag_of(_LUT),))
    return found


class FilmOperations:
    """What is done with film sessions and film boxes.

    Parameters
    ----------
    node : Node
    config : PrintConfig
    """

    def __init__(self, node: Node, config: PrintConfig) -> None:
        self._node = node
        self._config = config

    async def create_session(self, printing: Printing, operation: Operation) -> Response:
        """N-CREATE of a film session; one for each Meta SOP Class at a time."""
        context = operation.context.abstract_syntax
        if any(session.context == context for session in printing.of_class(FilmSession)):
            comment = "There is a film session already: delete it first"
            raise DimseError(Status.DUPLICATE_SOP_INSTANCE, comment)
        given = await operation.read_dataset()
        uid = new_uid(printing, operation)
        values, warnings = apply(FILM_SESSION_RULES, given, self._config)
        printing.instances[uid] = FilmSession(uid, context, values)
        return answer(warnings, to_dataset(values), uid)

    async def set_session(self, printing: Printing, operation: Operation) -> Response:
        """N-SET of a film session."""
        session: FilmSession = printing.find(operation.command.sop_instance_uid, FILM_SESSION)
        given = await operation.read_dataset()
        session.values, warnings = apply(FILM_SESSION_RULES, given, self._config, session.values)
        return answer(warnings, to_dataset(session.values))

    async def create_film(self, printing: Printing, operation: Operation) -> Response:
        """N-CREATE of a film box, with its image boxes and annotation boxes."""
        given = await operation.read_dataset()
        uid = new_uid(printing, operation)
        session = _session_of(printing, given, operation.context.abstract_syntax)
        if len(session.films) >= self._config.max_films:
            comment = f"A film session has at most {self._config.max_films} film boxes"
            raise DimseError(Status.RESOURCE_LIMITATION, comment)
        display_format = require(given, "ImageDisplayFormat")
        others = (_SESSION, _LUT, "ReferencedImageBoxSequence")
        values, warnings = apply(FILM_BOX_RULES, given, self._config, others=others)
        count = self._count_boxes(values, display_format)
        lut = find_lut(printing, given)
        is_color = operation.context.abstract_syntax == COLOR_META
        film = FilmBox(uid, session, values, is_color, None if lut is None else lut.lut)
        sop_class = COLOR_IMAGE_BOX if is_color else GRAYSCALE_IMAGE_BOX
        film.boxes = [
            ImageBox(str(generate_uid(None)), position, sop_class)
            for position in range(1, count + 1)
        ]
        film.annotations = [
            AnnotationBox(str(generate_uid(None)), position)
            for position in range(1, annotations_of(values["AnnotationDisplayFormatID"]) + 1)
        ]
        session.films.append(film)
        made: list[Instance] = [film, *film.boxes, *film.annotations]
        for each in made:
            printing.instances[each.uid] = each
        return answer(warnings, _describe(film, lut), uid)

    def _count_boxes(self, values: dict[str, object], display_format: object) -> int:
        landscape = values["FilmOrientation"] == "LANDSCAPE"
        try:
            count = count_boxes(str(display_format), str(values["FilmSizeID"]), landscape=landscape)
        except LayoutError as error:
            tag = tag_of("ImageDisplayFormat")
            raise DimseError(Status.INVALID_ATTRIBUTE_VALUE, str(error), (tag,)) from error
        if count > self._config.max_boxes:
            comment = f"A film box has at most {self._config.max_boxes} image boxes"
            raise DimseError(Status.RESOURCE_LIMITATION, comment)
        return count

    async def set_film(self, printing: Printing, operation: Operation) -> Response:
        """N-SET of a film box."""
        film: FilmBox = printing.find(operation.command.sop_instance_uid, FILM_BOX)
        given = await operation.read_dataset()
        lut = find_lut(printing, given)
        others = (_SESSION, _LUT)
        film.values, warnings = apply(
            FILM_BOX_RULES, given, self._config, film.values, others=others
        )
        if lut is not None:
            film.lut = lut.lut
        return answer(warnings, to_dataset(film.values))

    async def delete(self, printing: Printing, operation: Operation) -> Response:
        """N-DELETE of a film session, film box or Presentation LUT."""
        command = operation.command
        instance = printing.find(command.sop_instance_uid, command.sop_class_uid or "")
        files = printing.remove(instance)
        if printing.folder is not None:
            await anyio.to_thread.run_sync(remove_files, printing.folder, files)
        return Response(Status.SUCCESS)

    async def print_film(self, printing: Printing, operation: Operation) -> Response:
        """N-ACTION of a film box."""
        film: FilmBox = printing.find(operation.command.sop_instance_uid, FILM_BOX)
        return await self._print(printing, operation, film.session, [film], PrintStatus.EMPTY_FILM)

    async def print_session(self, printing: Printing, operation: Operation) -> Response:
        """N-ACTION of a film session: all its film boxes, collated."""
        session: FilmSession = printing.find(operation.command.sop_instance_uid, FILM_SESSION)
        if not session.films:
            raise DimseError(PrintStatus.NO_FILM_BOX, "The film session has no film box")
        films = list(session.films)
        return await self._print(printing, operation, session, films, PrintStatus.EMPTY_SESSION)

    async def _print(
        self,
        printing: Printing,
        operation: Operation,
        session: FilmSession,
        boxes: Sequence[FilmBox],
        empty: PrintStatus,
    ) -> Response:
        action = operation.command.action_type_id
        if action != 1:
            raise DimseError(Status.NO_SUCH_ACTION_TYPE, "The action is 1, Print")
        await operation.read_dataset()
        films = [box.to_film(self._config) for box in boxes]
        statuses = [
            *([empty] if not all(film.images for film in films) else []),
            *(status for film in films for status in placement_statuses(film, self._config)),
        ]
        if PrintStatus.IMAGE_TOO_LARGE in statuses:
            raise DimseError(PrintStatus.IMAGE_TOO_LARGE, "An image is larger than its box")
        status = statuses[0] if statuses else Status.SUCCESS
        films = [film for film in films if film.images]
        if not films:
            return Response(status, action_type_id=action)
        uid = await self._enqueue(printing, session, films, operation.command.sop_class_uid or "")
        return Response(status, self._reply(printing, uid), action_type_id=action)

    async def _enqueue(
        self, printing: Printing, session: FilmSession, films: list[Film], sop_class: str
    ) -> str:
        assert printing.folder is not None  # noqa: S101  there are images
        values = session.values
        job = PrintJob(
            str(generate_uid(None)),
            tuple(films),
            values["NumberOfCopies"],
            values["PrintPriority"],
            values["MediumType"],
            values["FilmDestination"],
            values["FilmSessionLabel"],
            values["OwnerID"],
            printing.association.origin.calling_ae_title,
            datetime.now().strftime("%Y%m%d%H%M%S"),
        )
        queue = self._node.find(PrintQueue)
        folder = await anyio.to_thread.run_sync(queue.spool.keep, job, printing.folder)
        try:
            await queue.accept(job, folder)
        except QueueFullError as error:
            await anyio.to_thread.run_sync(queue.spool.drop, folder)
            is_film = sop_class == FILM_BOX
            full = PrintStatus.FILM_QUEUE_FULL if is_film else PrintStatus.SESSION_QUEUE_FULL
            raise DimseError(full, str(error)) from error
        printing.jobs[job.uid] = ""
        return job.uid

    def _reply(self, printing: Printing, uid: str) -> Dataset | None:
        """Return the Action Reply, for those who can ask about the job (PS3.4 H.4.1.2.4)."""
        contexts = printing.association.contexts.values()
        if all(context.abstract_syntax != PRINT_JOB for context in contexts):
            return None
        reply = Dataset()
        reply.ReferencedPrintJobSequence = [reference(PRINT_JOB, uid)]
        return reply


def reference(sop_class: str, uid: str) -> Dataset:
    """Return an item that refers to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item


def remove_files(folder: Path, files: Sequence[str]) -> None:
    """Remove images that are no longer needed."""
    for name in files:
        (folder / name).unlink(missing_ok=True)


def _session_of(printing: Printing, given: Dataset, context: str) -> FilmSession:
    """Return the film session of a film box; the only one if it refers to none."""
    sessions = [each for each in printing.of_class(FilmSession) if each.context == context]
    sequence = value_of(given, _SESSION)
    if sequence is None and len(sessions) == 1:
        return sessions[0]
    item = require(given, _SESSION)[0]
    uid = str(require(item, "ReferencedSOPInstanceUID"))
    for session in sessions:
        if session.uid == uid:
            return session
    comment = "There is no such film session"
    raise DimseError(Status.INVALID_ATTRIBUTE_VALUE, comment, (tag_of(_SESSION),))


def _describe(film: FilmBox, lut: LutInstance | None) -> Dataset:
    dataset = to_dataset(film.values)
    setattr(dataset, _SESSION, [reference(FILM_SESSION, film.session.uid)])
    dataset.ReferencedImageBoxSequence = [reference(box.sop_class, box.uid) for box in film.boxes]
    if film.annotations:
        dataset.ReferencedBasicAnnotationBoxSequence = [
            reference(ANNOTATION_BOX, annotation.uid) for annotation in film.annotations
        ]
    if lut is not None:
        setattr(dataset, _LUT, [reference(PRESENTATION_LUT, lut.uid)])
    return dataset
