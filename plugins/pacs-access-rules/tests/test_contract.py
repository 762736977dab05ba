"""The authorizer keeps the contract, and heeds overrides."""

import anyio
import pytest
from pacs_access_rules import AccessRulesConfig, pacs_access
from pacs_access_rules.authorizer import STARTED, STOPPED, USED, Glass
from pacs_access_rules.overrides import Overrides

from pacs_core.contracts import (
    Access,
    AccessDescriptor,
    AccessTarget,
    Allow,
    ConfigFile,
    Deny,
    NodeSettings,
    Origin,
    PluginInfo,
    Principal,
    Setup,
)
from pacs_core.testing.access_contract import AuthorizerContract
from pacs_core.testing.operations import memory_node

POLICY = """
[[rule]]
may = "echo"
network = "192.0.2.0/24"

[[rule]]
may_not = "*"
where.PatientID = "VIP*"
unless.Modality = "US"

[[rule]]
role = "physician"
may = ["query", "retrieve"]

[[rule]]
role = "viewer"
may = ["query", "retrieve"]
where = { Modality = ["CT", "MR"], StudyDate = { newer_than = "5 years" } }

[[rule]]
ae_title = "CT*"
may = ["store", "move"]
to = "ARCHIVE"

[[rule]]
role = "nurse"
may = ["query", "retrieve"]
emergency = true
"""


def setup_of(text, directory):
    config = AccessRulesConfig(ConfigFile(directory / "rules.toml", text))
    info = PluginInfo("access-rules", directory / "access-rules")
    return Setup(NodeSettings(data_directory=directory), {AccessRulesConfig: config}, info)


def by(action, *roles, ae="", host="192.0.2.1", name="anna", to="", method="passcode"):
    principal = Principal(name, frozenset(roles), method) if roles else None
    return Access(
        action, Origin("DIMSE", ae, host=host, principal=principal, association="A1"),
        AccessTarget(destination=to),
    )  # fmt: skip


class TestRules(AuthorizerContract):
    allowed = (by("echo"),)
    denied = (
        by("echo", host="198.51.100.1"), by("query"), by("delete", "physician"),
        by("query", "nurse"), by("move", ae="CT1", to="OTHER"), by("acme.print", "physician"),
    )  # fmt: skip
    restricted = (
        by("query", "physician"), by("retrieve", "viewer"), by("store", ae="CT1"),
        by("move", ae="CT1", to="ARCHIVE"),
    )  # fmt: skip

    @pytest.fixture
    def descriptor(self, tmp_path) -> AccessDescriptor:
        return pacs_access(setup_of(POLICY, tmp_path))[0]


def test_without_a_policy_nothing_is_guarded(tmp_path):
    setup = Setup(NodeSettings(), {AccessRulesConfig: AccessRulesConfig()})
    assert pacs_access(setup) == []


@pytest.mark.anyio
async def test_another_policy_is_taken_or_refused(tmp_path):
    node = memory_node(NodeSettings(data_directory=tmp_path))
    authorizer = pacs_access(setup_of(POLICY, tmp_path))[0].authorizer(node)
    await authorizer.start()
    assert isinstance(await authorizer.authorize(by("query")), Deny)
    await authorizer.reconfigure(setup_of("[[rule]]\nmay='query'", tmp_path))
    assert isinstance(await authorizer.authorize(by("query")), Allow)
    unknown = "[[rule]]\nmay='query'\nwhere.BurnedInAnnotation='NO'"
    with pytest.raises(ValueError, match=r"rule 1 \(line 1\): the index keeps no BurnedIn"):
        await authorizer.reconfigure(setup_of(unknown, tmp_path))
    assert isinstance(await authorizer.authorize(by("query")), Allow)


@pytest.mark.anyio
async def test_an_index_that_does_not_keep_an_attribute(tmp_path):
    unknown = "[[rule]]\nmay='query'\nwhere.BurnedInAnnotation='NO'"
    node = memory_node(NodeSettings(data_directory=tmp_path))
    authorizer = pacs_access(setup_of(unknown, tmp_path))[0].authorizer(node)
    with pytest.raises(ValueError, match="BurnedInAnnotation"):
        await authorizer.start()


@pytest.mark.anyio
async def test_breaking_the_glass(tmp_path):
    setup = setup_of(POLICY, tmp_path)
    node = memory_node(NodeSettings(data_directory=tmp_path))
    authorizer = pacs_access(setup)[0].authorizer(node)
    await authorizer.start()
    glass = Glass(node.audit, Overrides(setup.directory), setup.config(AccessRulesConfig))
    operator = Origin("control", principal=Principal("root", method="local"))
    for reason in ("", " x ", "a\0" * 20, "x" * 501):
        with pytest.raises(ValueError, match="say why"):
            await glass.break_for("anna", reason, operator, 5)
    override = await glass.break_for("anna", "patient is\nunconscious", operator, 5)
    assert override.until - override.since == 300
    nurse = by("query", "nurse")
    for _ in range(3):
        verdict = await authorizer.authorize(nurse)
        assert not isinstance(verdict, Deny)
    # The rules for all others before it hold, and so do those who have no rule for emergencies.
    assert isinstance(await authorizer.authorize(by("delete", "nurse")), Deny)
    assert isinstance(await authorizer.authorize(by("query", "nurse", name="bob")), Deny)
    assert isinstance(await authorizer.authorize(by("query", "porter")), Deny)
    for method in ("ae-title", "username"):  # anybody could take her name
        verdict = await authorizer.authorize(by("query", "nurse", method=method))
        assert isinstance(verdict, Deny)
    assert await glass.mend_for("anna", operator)
    assert isinstance(await authorizer.authorize(nurse), Deny)
    assert not await glass.mend_for("anna", operator)
    events = [(e.kind, e.origin.user, e.details) for e in node.audit.events]
    assert events == [
        (STARTED, "root", {"reason": "patient is unconscious", "minutes": 5}),
        (
            USED, "anna",
            {"action": "query", "override": 1, "reason": "patient is unconscious"},
        ),
        (STOPPED, "root", {}),
    ]  # fmt: skip
    [kept] = Overrides(setup.directory).all()
    assert (kept.principal, kept.given_by, kept.reason) == (
        "anna",
        "root",
        "patient is unconscious",
    )


def test_overrides_end_by_themselves(tmp_path, monkeypatch):
    overrides = Overrides(tmp_path / "of" / "plugin")
    assert overrides.all() == []
    assert overrides.active("anna") is None
    given = overrides.add("anna", "a reason", "anna", "192.0.2.1", 10)
    assert overrides.active("anna") == given
    assert overrides.active("") is None
    monkeypatch.setattr("pacs_access_rules.overrides.time", lambda: given.until - 1)
    second = overrides.add("anna", "still", "anna", "192.0.2.1", 1)
    assert [each.number for each in overrides.all()] == [1, 2]
    monkeypatch.setattr("pacs_access_rules.overrides.time", lambda: second.until)
    assert overrides.active("anna") is None
    folder = tmp_path / "of" / "plugin"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "overrides.sqlite3").stat().st_mode & 0o777 == 0o600


def test_many_processes_may_break_it_at_once(tmp_path):
    async def break_all():
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(
                    anyio.to_thread.run_sync, Overrides(tmp_path).add, f"p{number}", "r", "", "", 1
                )

    anyio.run(break_all)
    assert len({each.principal for each in Overrides(tmp_path).all()}) == 20
