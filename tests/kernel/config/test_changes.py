"""What of two configurations differs, what may take effect, and what waits."""

import pytest
from attrs import field, frozen

from pacs_core.config import Config, ConfigChanges, ConfigError, structure
from pacs_core.contracts import RELOADABLE


def config(**tables):
    return structure(tables, Config, "")


def merge(before, after):
    changes = ConfigChanges()
    return changes.merge(before, after), changes


def test_the_same_is_the_same():
    before = config(peers={"a": {"ae_title": "A", "host": "h"}})
    merged, changes = merge(before, config(peers={"a": {"ae_title": "A", "host": "h"}}))
    assert merged is before
    assert changes == ConfigChanges()


def test_peers_are_named_one_by_one_with_the_keys_that_differ():
    before = config(peers={n: {"ae_title": n.upper(), "host": "h"} for n in "abc"})
    peers = {
        "a": {"ae_title": "A", "host": "h"},
        "b": {"ae_title": "B", "host": "other", "port": 105},
        "d": {"ae_title": "D", "host": "h"},
    }
    merged, changes = merge(before, config(peers=peers))
    assert changes.taken == ["peers.b.host", "peers.b.port", "peers.c", "peers.d"]
    assert changes.waiting == []
    assert sorted(merged.peers) == ["a", "b", "d"]


def test_what_needs_a_restart_keeps_its_value():
    after = config(
        node={"ae_title": "NEW", "default_character_set": ["ISO_IR 192"]},
        network={
            "memory_budget": 2**25,
            "max_associations": 7,
            "timeouts": {"idle": 5, "plugin": 6},
        },
        archive={"durability": "write-behind", "space": {"reserve": 0}},
        log={"level": "debug", "slow_loop": 2.0},
    )
    merged, changes = merge(config(), after)
    assert changes.taken == [
        "node.default_character_set",
        "network.max_associations",
        "network.timeouts.idle",
        "log.level",
    ]
    assert changes.waiting == [
        "node.ae_title",
        "network.memory_budget",
        "network.timeouts.plugin",
        "archive.durability",
        "archive.space.reserve",
        "log.slow_loop",
    ]
    assert merged == config(
        node={"default_character_set": ["ISO_IR 192"]},
        network={"max_associations": 7, "timeouts": {"idle": 5}},
        log={"level": "debug"},
    )


@frozen
class Range:
    low: int = 0
    high: int = field(default=10, metadata=RELOADABLE)

    def __attrs_post_init__(self):
        if self.low > self.high:
            raise ValueError("low is above high")


def test_what_does_not_go_together_with_what_waits_is_refused():
    with pytest.raises(ConfigError, match=r"plugin\.x: low is above high; plugin\.x\.low needs a"):
        ConfigChanges().merge(Range(5, 10), Range(0, 3), "plugin.x")
