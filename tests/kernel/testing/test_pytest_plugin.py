"""The fixtures that authors get: isolation from whatever else is installed, and associations."""

import sys
import tomllib
from types import ModuleType

import pytest
from importlib_metadata import EntryPoint

from pacs_core.association import NoContextError, Proposal
from pacs_core.contracts import (
    Response,
    ServiceProvider,
    ServiceProviderDescriptor,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_core.testing.node import chosen_plugins

pytestmark = [pytest.mark.anyio, pytest.mark.true_start]

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


async def test_a_node_has_the_chosen_plugins_only(pacs_node, pacs_association):
    node = pacs_node(plugins=["sop-verification"])
    association = await pacs_association(node, VERIFICATION, Proposal(CT))
    assert (await association.c_echo()).status == 0x0000
    assert [c.abstract_syntax for c in association.contexts.values()] == [VERIFICATION]
    with pytest.raises(NoContextError):
        association.context(CT)
    assert node.node.opened.store is None


async def test_without_plugins_a_node_accepts_nothing(pacs_node, pacs_association):
    association = await pacs_association(pacs_node(plugins=[]), VERIFICATION)
    assert association.contexts == {}


def test_plugins_that_are_not_installed_are_named(pacs_node, pacs_process):
    for start in (pacs_node, pacs_process):
        with pytest.raises(
            LookupError, match=r"not installed: nonesuch; installed plugins are .*sop"
        ):
            start(plugins=["sop-verification", "nonesuch"])


class Yes(ServiceProvider):
    async def handle(self, operation):
        return Response(0x0000)


@hookimpl
def pacs_service_providers(setup):
    return [ServiceProviderDescriptor("yes", {VERIFICATION: SopClassSupport()}, lambda _: Yes())]


async def test_a_plugin_that_is_not_installed_can_be_given(
    pacs_node, pacs_association, monkeypatch
):
    module = ModuleType("not_installed")
    module.pacs_service_providers = pacs_service_providers
    monkeypatch.setitem(sys.modules, "not_installed", module)
    point = EntryPoint("yes", "not_installed", "pacs_core.plugins")
    assert [record.name for record in chosen_plugins([point]).loaded] == ["yes"]
    association = await pacs_association(pacs_node(plugins=[point]), VERIFICATION)
    assert (await association.c_echo()).status == 0x0000


async def test_a_process_has_the_chosen_plugins_only(pacs_process, pacs_association, tmp_path):
    process = pacs_process({"log": {"level": "info"}}, plugins=["sop-verification"])
    association = await pacs_association(process, VERIFICATION)
    assert (await association.c_echo()).status == 0x0000
    disabled = tomllib.loads((tmp_path / "data" / "pacs.toml").read_text())["plugins"]["disabled"]
    assert "sop-storage" in disabled
    assert "sop-verification" not in disabled
