"""Instance Availability in results of searches (PS3.18 Tables 10.6.3-3, 10.6.3-5)."""

import pytest

from pacs_core.contracts import Availability
from pacs_core.testing.datasets import SampleStudy

AVAILABILITY = "00080056"


@pytest.fixture
def away(door, monkeypatch):
    """A service with three studies of three instances, and the keys of objects by instance."""
    service = door()
    made = {}
    for name in ("Here", "Away", "Mixed"):
        study = SampleStudy()
        made[name] = [study.make("CT", PatientName=name) for _ in range(3)]
        service.store(*made[name])
    archive = service.node.node.opened.node.archive
    index, store = archive._index, archive._store
    asked = []
    gone = {each.sop_instance_uid for each in [*made["Away"], made["Mixed"][1]]}

    def counted(query, find=index.instances):
        asked.append(query)
        return find(query)

    async def availability(keys):
        return [
            Availability.NEARLINE if any(uid in key for uid in gone) else Availability.ONLINE
            for key in keys
        ]

    monkeypatch.setattr(index, "instances", counted)
    monkeypatch.setattr(store, "always_online", False)
    monkeypatch.setattr(store, "availability", availability)
    return service, made, asked


def test_the_index_is_asked_once_for_a_page(away):
    service, made, asked = away
    found = service.found("/studies?includefield=PatientName")
    named = {each["00100010"]["Value"][0]["Alphabetic"]: each for each in found}
    told = {name: each[AVAILABILITY]["Value"] for name, each in named.items()}
    assert told == {"Here": ["ONLINE"], "Away": ["NEARLINE"], "Mixed": ["NEARLINE"]}
    assert len(asked) == 1
    found = service.found("/instances?PatientName=Mixed")
    assert len(asked) == 2
    told = {each["00080018"]["Value"][0]: each[AVAILABILITY]["Value"][0] for each in found}
    one = made["Mixed"][1].sop_instance_uid
    assert [uid for uid, each in told.items() if each == "NEARLINE"] == [one]
    assert len(told) == 3
    assert AVAILABILITY not in service.found("/series")[0]
    assert service.get("/studies?PatientName=Nobody").status_code in {200, 204}
    assert len(asked) == 2
