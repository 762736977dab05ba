"""Three nodes with one PostgreSQL, killed amid what follows from studies that are complete."""

import asyncio
from contextlib import ExitStack

import anyio
import asyncpg
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import node_process
from pacs_core.testing.postgresql import postgresql_server
from pacs_core.testing.waiting import until

from .receivers import PLUGINS, Receiver, rules

pytestmark = [pytest.mark.timeout(300), pytest.mark.peer("postgresql")]

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
NAMES = ("one", "two", "three")
NODE_PLUGINS = [each for each in PLUGINS if each != "index-sqlite"] + ["index-postgresql"]
PATIENCE = 120.0


class Site:
    """The nodes, which share database, index and the folder of objects."""

    def __init__(self, stack, folder, receiver):
        self.stack, self.folder, self.receiver = stack, folder, receiver
        self.database = stack.enter_context(postgresql_server())
        (folder / "dsn").write_text(self.database.url)
        self.nodes, self.open = {}, {}

    def start(self, name):
        tables = rules(
            {"ai": self.receiver},
            {"complete": {"to": ["ai"], "on": "study", "sources": ["CT1"], "called": ["PACS"]}},
        )
        # After so long another node does what one did that was killed.
        tables["node"] = {"lease_time": 2.0}
        tables["archive"] |= {"index": "postgresql"}
        tables["database"] = {"url": self.database.url}
        tables["plugin"]["index-postgresql"] = {"dsn": {"file": str(self.folder / "dsn")}}
        tables["plugin"]["store-filesystem"] = {"root": str(self.folder / "objects")}
        (self.folder / name).mkdir(exist_ok=True)
        stack = self.open[name] = self.stack.enter_context(ExitStack())
        node = node_process(self.folder / name, tables, plugins=NODE_PLUGINS)
        self.nodes[name] = stack.enter_context(node)

    def kill(self, name):
        self.nodes[name].kill()
        self.open.pop(name).close()

    def ask(self, statement, *values):
        """Run a statement in the index, and return its rows."""

        async def run():
            connection = await asyncpg.connect(
                self.database.url, server_settings={"search_path": "pacs"}
            )
            try:
                return await connection.fetch(statement, *values)
            finally:
                await connection.close()

        return asyncio.run(run())

    def complete(self):
        """Return the studies that were said to be complete, each as often as it was said."""
        rows = self.ask("SELECT StudyInstanceUID FROM change WHERE kind = 'study-complete'")
        return [row[0] for row in rows]


def store(peer, studies, calling="CT1"):
    """Store two instances of each study, and return their UIDs."""

    async def send():
        async with connect(peer, [Proposal(CT, (EXPLICIT,))], calling_ae_title=calling) as it:
            for study in studies:
                for uid in (f"{study}.1.1", f"{study}.1.2"):
                    values = {
                        "SOPClassUID": CT,
                        "SOPInstanceUID": uid,
                        "PatientID": study,
                        "Modality": "CT",
                        "StudyInstanceUID": study,
                        "SeriesInstanceUID": f"{study}.1",
                    }
                    found = {tag_of(keyword): (value,) for keyword, value in values.items()}
                    dataset = encode_attributes(found, EXPLICIT)
                    assert (await it.c_store(CT, uid, dataset)).status == 0x0000

    anyio.run(send)
    return [f"{study}.1.{number}" for study in studies for number in (1, 2)]


def test_each_study_is_complete_once_and_routed_by_who_sent_it_to_whichever_node(tmp_path):
    """A node is killed amid each round; the others, and then itself again, do what it has not.

    Rules ask who sent an instance: the node that routes it is seldom the one that has received it.
    """
    studies = [f"1.2.826.0.1.3680043.10.3.{number}" for number in range(1, 17)]
    sent, received = list(studies), []
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver("AI"))
        site = Site(stack, tmp_path, receiver)
        for name in NAMES:
            site.start(name)
        # Who follows keeps all changes: nothing that was said is trimmed before it is counted.
        site.ask("INSERT INTO consumer SELECT 'test', coalesce(max(sequence), 0), TRUE FROM change")
        others = store(site.nodes["one"].peer, ["1.2.826.0.1.3680043.10.4.1"], "CT2")
        for turn, victim in enumerate(NAMES[:2]):
            before = len(site.complete())
            for name in NAMES:
                received += store(site.nodes[name].peer, [sent.pop(), sent.pop()])
            until(lambda before=before: len(site.complete()) > before, PATIENCE)
            site.kill(victim)
            survivor = NAMES[(turn + 1) % len(NAMES)]
            received += store(site.nodes[survivor].peer, [sent.pop(), sent.pop()])
            site.start(victim)
        until(lambda: set(site.complete()) >= set(studies), PATIENCE)
        until(lambda: set(receiver.received) >= set(received), PATIENCE)
        said = [study for study in site.complete() if study in studies]
        reopened = site.ask("SELECT StudyInstanceUID FROM change WHERE kind = 'study-reopened'")
    assert not sent
    assert sorted(said) == sorted(studies)
    assert not reopened
    assert set(receiver.received) == set(received)
    assert not set(others) & set(receiver.received)
