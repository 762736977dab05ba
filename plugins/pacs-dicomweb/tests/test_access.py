"""Access rules at the web door: denied is 403, and what is hidden is not there (PS3.18 §8.5)."""

import sys
from types import ModuleType

import pytest
from importlib_metadata import EntryPoint

from pacs_core.contracts import (
    AccessAction,
    AccessDescriptor,
    Allow,
    Authorizer,
    Deny,
    Restrict,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.plugins import hookimpl
from pacs_core.testing.datasets import SampleStudy

RULES = {}
"""Verdicts by action; what is not there is allowed."""


class Rules(Authorizer):
    async def authorize(self, access):
        assert access.origin.interface
        assert access.origin.host == "127.0.0.1"
        return RULES.get(access.action, Allow())


@hookimpl
def pacs_access(setup):
    return [AccessDescriptor("rules", authorizer=lambda node: Rules())]


@pytest.fixture
def guarded(door_with, monkeypatch):
    module = ModuleType("rules_of_the_web")
    module.pacs_access = pacs_access
    monkeypatch.setitem(sys.modules, module.__name__, module)
    RULES.clear()
    yield door_with(EntryPoint("rules", module.__name__, "pacs_core.plugins"))
    RULES.clear()


def path_of(dataset):
    values = dataset.values
    return (
        f"/studies/{values['StudyInstanceUID']}/series/{values['SeriesInstanceUID']}"
        f"/instances/{values['SOPInstanceUID']}"
    )


def test_denied_and_hidden(guarded):
    study = SampleStudy()
    ct, mr = study.make("CT"), study.make("MR")
    assert guarded.store(ct, mr).status_code == 200

    RULES[AccessAction.STORE] = Deny("not you")
    response = guarded.store(study.make("CT"))
    assert response.status_code == 403
    assert response.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0124]

    RULES[AccessAction.QUERY] = Deny("not you")
    response = guarded.get("/studies")
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"

    RULES[AccessAction.RETRIEVE] = Deny("not you")
    for suffix in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"):
        assert guarded.get(path_of(ct) + suffix).status_code == 403
    assert guarded.get(f"/wado?requestType=WADO&objectUID={ct.sop_instance_uid}").status_code == 403

    only_ct = Restrict((SingleValue(tag_of("Modality"), "CT"),))
    RULES.update(dict.fromkeys((AccessAction.QUERY, AccessAction.RETRIEVE), only_ct))
    [found] = guarded.found("/studies")
    assert found["00080061"]["Value"] == ["CT"]
    assert found["00201208"]["Value"] == [1]
    assert guarded.get("/instances?limit=0").headers["x-total-count"] == "1"
    for suffix in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"):
        assert guarded.get(path_of(ct) + suffix).status_code == 200
        assert guarded.get(path_of(mr) + suffix).status_code == 404
    assert len(guarded.found(f"/studies/{study.study_instance_uid}/metadata")) == 1
