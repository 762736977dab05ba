"""The log of a node whose file is set aside while it serves, by itself and by others."""

import re
import signal

import anyio

from pacs_core.association import Proposal, connect
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

VERIFICATION = "1.2.840.10008.1.1"
ECHOES = 150
PLUGINS = ("sop-verification", "store-filesystem", "index-sqlite")
ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Z]+ +\S+.*: .*")


def test_no_line_is_lost_when_the_file_is_set_aside_or_renamed(tmp_path):
    """Two workers write it; it is set aside by its size, and renamed as logrotate does."""
    folder = tmp_path / "log"
    table = {"file": str(folder / "pacs.log"), "max_bytes": 8_000, "level": "info"}
    with node_process(
        tmp_path / "node", {"node": {"workers": 2}, "log": table}, plugins=PLUGINS
    ) as node:

        async def echo(title):
            async with connect(
                node.peer, [Proposal(VERIFICATION)], calling_ae_title=title
            ) as association:
                await association.c_echo()

        async def echo_all():
            async with anyio.create_task_group() as tasks:
                for begin in range(0, ECHOES, 10):
                    for number in range(begin, begin + 10):
                        tasks.start_soon(echo, f"AE{number:04}")
                    if begin == 50:  # without telling anybody
                        (folder / "pacs.log").rename(folder / "pacs.log.1")
                    if begin == 100:  # with the signal of those that need one
                        (folder / "pacs.log").rename(folder / "pacs.log.2")
                        node.process.send_signal(signal.SIGHUP)
                    await anyio.sleep(0.05)

        anyio.run(echo_all)

        def text():
            return "".join(path.read_text() for path in folder.iterdir())

        until(lambda: text().count(": released by peer") + text().count(": released") >= ECHOES)
        assert node.stop() == 0
    written = text()
    for number in range(ECHOES):
        assert written.count(f"accepted AE{number:04} ") == 1
    assert [line for line in written.splitlines() if not ENTRY.fullmatch(line)] == []
    names = sorted(path.name for path in folder.iterdir())
    assert {"pacs.log", "pacs.log.1", "pacs.log.2"} <= set(names)
    assert len(names) > 4, "it was set aside by its size, too"
    assert node.log.read_text() == "", "nothing had to go to standard error"
