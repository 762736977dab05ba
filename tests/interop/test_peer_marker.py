"""Tests that need a peer program are skipped without it, unless it has to be there."""

import pytest

from pacs_core.testing.peer_programs import do_without


@pytest.fixture
def root_conftest(request):
    plugins = request.config.pluginmanager.get_plugins()
    return next(plugin for plugin in plugins if hasattr(plugin, "PEER_PROGRAMS"))


@pytest.mark.peer
def test_this_one_runs_where_dcmtk_is_installed(dcmtk):
    assert "dcmtk" in dcmtk.run("echoscu", "--version")


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip), ("1", pytest.fail)])
def test_a_missing_peer_is_named_with_the_way_to_get_it(
    request, root_conftest, monkeypatch, required, outcome
):
    monkeypatch.setattr(root_conftest, "PEER_PATH", "/nowhere")
    monkeypatch.setenv("PACS_REQUIRE_PEERS", required)
    root_conftest.pytest_runtest_setup(request.node)
    request.node.add_marker("peer")
    with pytest.raises(outcome.Exception, match=r"storescu.* not found; apt-get install dcmtk"):
        root_conftest.pytest_runtest_setup(request.node)


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip), ("1", pytest.fail)])
def test_what_a_fixture_does_without_fails_where_it_has_to_be_there(monkeypatch, required, outcome):
    """The OHIF viewer, which is built and not installed, and PostgreSQL."""
    monkeypatch.setenv("PACS_REQUIRE_PEERS", required)
    with pytest.raises(outcome.Exception, match="OHIF is not there"):
        do_without("OHIF is not there")
