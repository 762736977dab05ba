"""The URI service, WADO-URI (PS3.18 §9): one instance, or a picture of it, by query parameters."""

import math
from collections.abc import Mapping
from typing import Final

from attrs import evolve
from pacs_web.api.datasets import not_acceptable
from pacs_web.api.http import HttpError
from pacs_web.api.media_types import Representation, accepted_types, choose
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.sr import is_sr_class
from pacs_core.contracts import (
    Archive,
    InstanceNotFoundError,
    InstancePath,
    Level,
    Query,
    RenderingOptions,
    SingleValue,
    SourceRegion,
    StoredInstance,
    Viewport,
)
from pacs_dicomweb.instances import query_of
from pacs_dicomweb.presentation_states import STATES
from pacs_dicomweb.rendered import GIF, JPEG, PNG, Rendering
from pacs_dicomweb.rendering_parameters import check_window, read_annotations, read_number
from pacs_dicomweb.reports import OFFERED as REPORT_FORMS
from pacs_dicomweb.retrieving import FILE, InstanceRetrieval
from pacs_dicomweb.search import UIDS
from pacs_dicomweb.search_parameters import InvalidParameterError, first_values
from pacs_dicomweb.service import (
    DicomWeb,
    Resource,
    check_uid,
    parameters_of,
)
from pacs_dicomweb.shown_frames import Shown, annotations_of, read_state

_PICTURES: Final = (JPEG, PNG, GIF)
_SIDE: Final = 1 << 20
"""What a side of a picture may have at most if only the other is given."""


class UriService:
    """Answers WADO-URI requests.

    Parameters
    ----------
    service : DicomWeb
    whole : InstanceRetrieval
    pictures : Rendering
    """

    def __init__(self, service: DicomWeb, whole: InstanceRetrieval, pictures: Rendering) -> None:
        self._service = service
        self._whole = whole
        self._pictures = pictures

    async def retrieve(self, request: Request) -> Response:
        """Answer GET."""
        parameters = parameters_of(request)
        named = first_values(parameters)
        _check(named)
        archive = self._service.archive(request)
        instance = await _instance(archive, named)
        is_report = is_sr_class(instance.identity.sop_class_uid)
        shown = None if is_report else await self._pictures.look_at(archive, instance)
        content_types = [v for name, v in parameters if name.lower() == "contenttype"]
        header = ", ".join(request.headers.getlist("accept"))
        own = REPORT_FORMS if shown is None else self._pictures.encapsulated.offered(shown)
        is_anonymous = named.get("anonymize", "").strip().lower() == "yes"
        if is_anonymous:
            # Only of DICOM objects can be told what they show (§9.4.1.2).
            offered: tuple[Representation, ...] = (FILE,)
        elif shown is None:
            offered = (*own, FILE)
        elif own or not (shown.pixels and shown.header.pixel_data is not None):
            offered = (FILE, *own)
        elif shown.frames > 1 and not named.get("framenumber"):
            offered = (FILE, *_PICTURES)
        else:
            offered = (*_PICTURES, FILE)
        choices = choose(accepted_types(header, content_types), offered)
        if not choices:
            raise not_acceptable(offered)
        representation = choices[0].representation
        if representation is FILE:
            if named.get("framenumber"):
                raise HttpError(400, "frameNumber is for pictures, not for application/dicom")
            syntax = named.get("transfersyntax", "").strip()
            if is_anonymous:
                return await self._whole.anonymous_file(request, archive, instance, syntax)
            return await self._whole.single_file(request, archive, instance, syntax)
        if shown is None:
            name = representation.name
            return await self._pictures.reports.answer(request, archive, instance, name)
        if representation in own:
            name = representation.name
            return await self._pictures.encapsulated.answer(request, archive, shown, name)
        if presentation := named.get("presentationuid", "").strip():
            shown = await _presented(archive, shown, presentation)
        try:
            frame = _frame(named)
            options = self._options(named, representation.name, shown, frame)
        except InvalidParameterError as error:
            raise HttpError(400, str(error)) from error
        return await self._pictures.single(request, archive, shown, frame, options)

    def _options(
        self, named: Mapping[str, str], media_type: str, shown: Shown, frame: int
    ) -> RenderingOptions:
        """Return how a picture is to be made (§9.4.1.2)."""
        options = RenderingOptions(media_type)
        centre, width = (named.get(name, "").strip() for name in ("windowcenter", "windowwidth"))
        if bool(centre) != bool(width):
            raise InvalidParameterError("windowCenter and windowWidth go together")
        if centre:
            options = evolve(options, window=check_window(centre, width))
        if quality := named.get("imagequality", "").strip():
            options = evolve(options, quality=_whole("imageQuality", quality, 100))
        rows, columns = (named.get(name, "").strip() for name in ("rows", "columns"))
        region = _region(named.get("region", "").strip(), shown)
        if rows or columns or region:
            size = shown.proportions(frame, region)
            options = evolve(options, viewport=self._viewport(rows, columns, region, size))
        annotations = annotations_of(shown.header, read_annotations(named))
        return evolve(options, annotations=annotations)

    def _viewport(
        self, rows: str, columns: str, region: SourceRegion | None, size: tuple[float, float]
    ) -> Viewport:
        """Return where the picture is to fit in; what is not given is wide enough for the rest."""
        height = _whole("rows", rows, _SIDE) if rows else 0
        width = _whole("columns", columns, _SIDE) if columns else 0
        if not (rows or columns):
            return Viewport(0, 0, region)
        wide, high = (max(each, 1.0) for each in size)
        width = width or math.ceil(height * wide / high)
        height = height or math.ceil(width * high / wide)
        if width * height > self._service.config.max_pixels:
            raise InvalidParameterError(
                f"{width}×{height} is more than {self._service.config.max_pixels} pixels"
            )
        return Viewport(width, height, region)


def _check(named: Mapping[str, str]) -> None:
    """Refuse what is no request to the service (§9.4.1.1), or cannot be done here."""
    if named.get("requesttype", "").strip().upper() != "WADO":
        raise HttpError(400, "requestType is WADO")
    if named.get("anonymize", "").strip().lower() not in {"", "yes"}:
        raise HttpError(400, "anonymize is yes, or not there")
    if named.get("presentationuid") and named.get("region"):
        raise HttpError(400, "region and presentationUID exclude each other")


async def _instance(archive: Archive, named: Mapping[str, str]) -> StoredInstance:
    study, series, instance = (
        named.get(name, "").strip() for name in ("studyuid", "seriesuid", "objectuid")
    )
    if not instance:
        raise HttpError(400, "objectUID says which instance is wanted")
    for name, uid in (("studyUID", study), ("seriesUID", series), ("objectUID", instance)):
        check_uid(name, uid)
    resource = Resource(study, series, instance)
    found: StoredInstance | None
    if study:
        found = await archive.locate(InstancePath(study, instance))
    else:
        condition = SingleValue(UIDS[Level.IMAGE], instance)
        query = evolve(query_of(Resource()), conditions=(condition,))
        found = await _first(archive, query)
    if found is None or series not in {"", found.identity.series_instance_uid}:
        raise InstanceNotFoundError(f"there is no {resource}")
    return found


async def _presented(archive: Archive, shown: Shown, uid: str) -> Shown:
    """Return an image as a presentation state of its study presents it (§9.4.1.2.8)."""
    check_uid("presentationUID", uid)
    identity = shown.instance.identity
    found = await archive.locate(InstancePath(identity.study_instance_uid, uid))
    if found is None:
        raise InstanceNotFoundError(f"there is no presentation state {uid} in the study")
    if found.identity.sop_class_uid not in STATES:
        raise HttpError(400, "presentationUID is not that of a softcopy presentation state")
    state = await read_state(archive, found)
    if identity.sop_instance_uid not in {image.sop_instance_uid for image in state.images}:
        raise HttpError(400, "the presentation state is not for this image")
    return evolve(shown, state=state, state_instance=found)


async def _first(archive: Archive, query: Query) -> StoredInstance | None:
    async for found in archive.instances(query):
        return found
    return None


def _frame(named: Mapping[str, str]) -> int:
    text = named.get("framenumber", "").strip()
    return _whole("frameNumber", text, 10**9) if text else 1


def _region(text: str, shown: Shown) -> SourceRegion | None:
    """Read ``region=left,top,right,bottom``, in parts of the image (§9.4.1.2.6)."""
    if not text:
        return None
    parts = [read_number("region", each.strip()) for each in text.split(",")]
    if len(parts) != 4 or not (0 <= parts[0] < parts[2] <= 1 and 0 <= parts[1] < parts[3] <= 1):
        raise InvalidParameterError("region is left,top,right,bottom, each from 0 to 1")
    left, top, right, bottom = parts
    width, height = shown.columns, shown.rows
    return SourceRegion(left * width, top * height, (right - left) * width, (bottom - top) * height)


def _whole(name: str, text: str, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    if not 1 <= number <= most:
        raise InvalidParameterError(f"{name} is a whole number from 1 to {most}")
    return number
