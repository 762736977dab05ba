"""What is hidden costs the node the same steps as what does not exist: time tells nothing.

Rules are part of what the index is asked, so that it makes no difference why it has no answer. The
proof counts what index and store are asked for, not seconds, which tell of the machine as well.
"""

import re
import time

import pytest
from pacs_index_sqlite.index import SqliteIndex
from pacs_store_filesystem.store import FilesystemStore
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from .conftest import FORMS, HIDDEN, MIXED, NOWHERE
from .test_dimse_doors import associate, find, get, move
from .test_web_doors import OBJECTS, WADO, fill, routes, scrub

__all__ = ["routes"]

ASKED = {SqliteIndex: ("locate", "search", "count", "instances"), FilesystemStore: ("open",)}
HIDES = {
    "study": (
        (HIDDEN, f"{HIDDEN}.2", f"{HIDDEN}.2.1"),
        (NOWHERE, f"{NOWHERE}.2", f"{NOWHERE}.2.1"),
    ),
    "series": ((MIXED, f"{MIXED}.2", f"{MIXED}.2.3"), (MIXED, f"{MIXED}.8", f"{MIXED}.8.3")),
    "instance": ((MIXED, f"{MIXED}.1", f"{MIXED}.2.3"), (MIXED, f"{MIXED}.1", f"{MIXED}.8.3")),
}
"""UIDs of what is hidden, and of what does not exist, by the level of which that is true."""
ROLES = ("value", "sequence", "deny-first")


@pytest.fixture(scope="module")
def steps(guarded):
    """What index and store were asked for since the list was cleared, with the arguments."""
    taken = []

    def watch(patch, kind, name):
        original = getattr(kind, name)

        def ask(self, *given, **more):
            taken.append(f"{kind.__name__}.{name} {given} {more}")
            return original(self, *given, **more)

        patch.setattr(kind, name, ask)

    with pytest.MonkeyPatch.context() as patch:
        for kind, names in ASKED.items():
            for name in names:
                watch(patch, kind, name)
        seen = -1
        while seen < len(taken):  # what is prepared in the background, from what has just come
            seen = len(taken)
            time.sleep(1.0)
        yield taken


def anonymous(text, uids):
    """Return a text in which nothing tells which of two resources it is about."""
    for uid in sorted(set(uids), key=len, reverse=True):
        text = re.sub(rf"(?<![\d.]){re.escape(uid)}(?![\d.])", "UID", text)
    return text


def targets(routes, uids):
    found = [fill(path, uids) for path, methods in routes.items() if "GET" in methods]
    return found + [f"/dicom-web/wado?{WADO.format(*uids)}{more}" for more in OBJECTS]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("level", HIDES)
def test_every_route(guarded, routes, steps, role, level):
    hidden, missing = HIDES[level]
    assert role in FORMS
    with guarded.client(role) as client:
        for pair in zip(targets(routes, hidden), targets(routes, missing), strict=True):
            if pair[0] == pair[1]:
                continue  # not about one resource
            told = []
            for target, uids in zip(pair, (hidden, missing), strict=True):
                steps.clear()
                status, headers, body = scrub(client.get(target))
                taken = [anonymous(each, uids) for each in steps]
                answer = anonymous(body.decode("latin-1"), uids)
                told.append((status, sorted(headers), answer, taken))
            assert told[0] == told[1], pair
    # The last of them is about an instance, for which the index is asked.
    assert taken


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("level", HIDES)
def test_every_service(guarded, destination, steps, role, level):
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    query = {"study": "STUDY", "series": "SERIES", "instance": "IMAGE"}[level]
    destination.received.clear()
    told = []
    for uids in HIDES[level]:
        keys = dict(zip(names, uids, strict=True))
        if level != "instance":
            keys = dict(list(keys.items())[: 1 if level == "study" else 2])
        steps.clear()
        model = StudyRootQueryRetrieveInformationModelFind
        with associate(guarded, role, (model,)) as association:
            said = [find(association, model, query, keys)]
        said += [get(guarded, role, query, keys), move(guarded, role, query, keys)]
        told.append((anonymous(repr(said), uids), [anonymous(each, uids) for each in steps]))
    assert told[0] == told[1]
    assert len(told[0][1]) >= 3
    assert destination.received == []
