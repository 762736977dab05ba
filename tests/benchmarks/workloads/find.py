"""C-FIND at each level: latency to the first and to the last response.

Beside others on as many instances as they can take in reasonable time; and beside Orthanc, whose
index can be made without it, on a million in 20,000 studies.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic

from attrs import frozen

from .. import data, million, million_orthanc, wire
from ..client import Client
from ..contestant import Contestant, Running, running
from ..load import Operation, drive, storage_context
from ..runner import Case, Measure, Metric, Options

_COMMON_STUDIES = 400
_PER_SERIES = million.INSTANCES_PER_SERIES
_PER_STUDY = million.SERIES_PER_STUDY * _PER_SERIES
_REPETITIONS = 10
_MARKS = {1: "first", 100: "100th"}
_STRIDE = 37  # so that each repetition asks for another study


@frozen
class Search:
    """A query: its level, the keys to match given the number of a study, and what is timed."""

    name: str
    level: str
    keys: Callable[[int], dict[str, str]]
    timed: tuple[str, ...] = ("first", "last")


def _prefix(study: int) -> str:
    return data.patient_name(study).partition("^")[0] + "*"


SEARCHES = (
    Search("study by UID", "STUDY", lambda n: {"StudyInstanceUID": data.study_uid(n)}),
    Search("study by Patient ID", "STUDY", lambda n: {"PatientID": f"P{n:08d}"}),
    Search("study by accession number", "STUDY", lambda n: {"AccessionNumber": f"A{n:08d}"}),
    Search("studies by name prefix", "STUDY", lambda n: {"PatientName": _prefix(n)}),
    Search(
        "studies by date range",
        "STUDY",
        lambda n: {"StudyDate": f"{data.study_date(n)[:6]}01-{data.study_date(n)[:6]}07"},
    ),
    Search(
        "studies by modality and date",
        "STUDY",
        lambda n: {"ModalitiesInStudy": data.modality(n), "StudyDate": data.study_date(n)},
    ),
    Search("all studies", "STUDY", lambda _: {}, ("first", "100th", "last")),
    Search("series of a study", "SERIES", lambda n: {"StudyInstanceUID": data.study_uid(n)}),
    Search(
        "images of a series",
        "IMAGE",
        lambda n: {
            "StudyInstanceUID": data.study_uid(n),
            "SeriesInstanceUID": data.series_uid(n * million.SERIES_PER_STUDY),
        },
    ),
)

_RETURNED = {
    "STUDY": (
        "StudyDate StudyTime AccessionNumber PatientName PatientID StudyInstanceUID StudyID "
        "StudyDescription ModalitiesInStudy"
    ),
    "SERIES": "StudyInstanceUID Modality SeriesNumber SeriesInstanceUID SeriesDescription",
    "IMAGE": "StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID InstanceNumber",
}


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for the common index, and one for the large."""
    common, large = options.count(_COMMON_STUDIES), options.count(million.STUDIES)
    metrics = tuple(
        Metric(f"{search.name}, {which} response", "ms", higher_is_better=False)
        for search in SEARCHES
        for which in search.timed
    )
    filled, given = partial(_filled_session, common), partial(_given_session, large)
    yield Case(f"C-FIND in {common * _PER_STUDY}", "find", metrics, filled, reused=True)
    yield Case(f"C-FIND in {large * _PER_STUDY}", "given", metrics, given, reused=True)


@contextmanager
def _filled_session(studies: int, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    with running(contestant, directory) as node:
        drive(partial(_filling, node, studies), 1, count=studies * _PER_STUDY)
        yield partial(_measure, node, studies)


@contextmanager
def _given_session(studies: int, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    if contestant.is_ours:
        million.place(studies, directory)
    else:
        million_orthanc.place(contestant, studies, directory)
    with running(contestant, directory) as node:
        yield partial(_measure, node, studies)


@contextmanager
def _filling(node: Running, studies: int, _sender: int) -> Iterator[Operation]:
    shape = data.SHAPES["tiny"]
    request = wire.store_request(shape.sop_class_uid, data.instance_uid(0))
    with Client(node.port, [storage_context(shape.sop_class_uid)], node.called) as client:

        def encode(study: int) -> wire.Patched:
            encoded = client.encode(1, request, data.whole(shape, study))
            return wire.Patched(encoded, (data.instance_uid(0), data.series_uid(0)))

        def messages() -> Iterator[bytearray]:
            for study in range(studies):
                message = encode(study)
                for number in range(study * _PER_STUDY, (study + 1) * _PER_STUDY):
                    series = data.series_uid(number // _PER_SERIES)
                    yield message.patch(data.instance_uid(number), series)

        prepared = messages()

        def store() -> None:
            client.send(next(prepared))
            client.confirm()

        yield store


def _measure(node: Running, studies: int) -> list[float]:
    """Return medians of some repetitions of each query, each time with other keys."""
    context = wire.Context(1, wire.STUDY_ROOT_FIND, data.EXPLICIT_LITTLE)
    times: list[float] = []
    with Client(node.port, [context], node.called) as client:
        for search in SEARCHES:
            times += _latencies(client, search, studies)
    return times


def _latencies(client: Client, search: Search, studies: int) -> list[float]:
    _find(client, search, 0)
    repetitions = range(_STRIDE, _STRIDE * (_REPETITIONS + 1), _STRIDE)
    times = [_find(client, search, n % studies) for n in repetitions]
    return [median(each[which] for each in times) * 1000 for which in search.timed]


def _find(client: Client, search: Search, study: int) -> dict[str, float]:
    returned = dict.fromkeys(_RETURNED[search.level].split(), "")
    keys = data.identifier(QueryRetrieveLevel=search.level, **returned | search.keys(study))
    request = wire.request(wire.C_FIND_RQ, wire.STUDY_ROOT_FIND, dataset=True)
    message = client.encode(1, request, keys)
    started = monotonic()
    client.send(message)
    found, times = 0, {}
    for number, response in enumerate(client.responses(), 1):
        found += response.dataset_bytes
        if (name := _MARKS.get(number)) is not None:
            times[name] = monotonic() - started
    assert found, f"nothing was found: {search.name} {study}"
    times["last"] = monotonic() - started
    return {"100th": times["last"], **times}
