"""A configuration shown as TOML reads back as the same configuration, without its secrets."""

import math
import tomllib
from pathlib import Path

import pytest
from attrs import asdict, frozen
from hypothesis import given, strategies as st

from pacs_core.archive import ArchiveSettings, AuditSettings, DuplicatePolicy, Durability
from pacs_core.config import (
    Config,
    NodeConfig,
    effective_tables,
    structure,
    to_toml,
)
from pacs_core.contracts import Secret
from pacs_core.logs.settings import LogSettings
from pacs_core.plugins import PluginPolicy
from pacs_core.sending import PeerSettings

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
titles = st.from_regex(r"[A-Z0-9_]([A-Z0-9_ .-]{0,14}[A-Z0-9_])?", fullmatch=True)
names = st.lists(text, max_size=3).map(tuple)
configs = st.builds(
    Config,
    node=st.builds(
        NodeConfig,
        ae_title=titles,
        host=text,
        port=st.integers(0, 65535),
        data_directory=st.just(Path("data")) | st.just(Path('/a "b"\\c/d')),
    ),
    archive=st.builds(
        ArchiveSettings,
        store=st.none() | text,
        index=st.none() | text,
        duplicates=st.sampled_from(DuplicatePolicy),
        durability=st.sampled_from(Durability),
    ),
    plugins=st.builds(
        PluginPolicy, disabled=names, required=names, order=names, strict=st.booleans()
    ),
    peers=st.dictionaries(
        text,
        st.builds(PeerSettings, ae_title=titles, host=text, port=st.integers(1, 65535)),
        max_size=3,
    ).filter(lambda peers: len({peer.ae_title for peer in peers.values()}) == len(peers)),
    audit=st.builds(AuditSettings, required=names),
    log=st.builds(LogSettings, level=st.sampled_from(["debug", "critical"])),
)


def pruned(value):
    """Return tables without those that are empty at the end of a path, which TOML text drops."""
    if not isinstance(value, dict):
        return value
    inner = {key: pruned(each) for key, each in value.items()}
    return {key: each for key, each in inner.items() if each != {}}


@given(st.dictionaries(text, values, max_size=5))
def test_any_table_reads_back_as_it_was(tables):
    assert pruned(tomllib.loads(to_toml(tables))) == pruned(tables)


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e300, 1e-7, -0.0, 1.5])
def test_numbers_read_back(number):
    assert tomllib.loads(to_toml({"n": number})) == {"n": number}


def test_what_has_no_value_is_left_out():
    tables = {"a": None, "b": {"c": None, "d": 1}, "e": [{"f": None, "g": 2}]}
    assert tomllib.loads(to_toml(tables)) == {"b": {"d": 1}, "e": [{"g": 2}]}


@given(configs)
def test_a_shown_configuration_is_the_same_configuration(config):
    shown = tomllib.loads(to_toml(effective_tables(config, {})))
    assert structure(shown, Config, "") == config


def test_defaults_are_shown():
    shown = tomllib.loads(to_toml(effective_tables(Config(), {})))
    assert shown["node"]["port"] == 11112
    assert shown["network"]["timeouts"] == asdict(Config().network.timeouts)


@frozen
class WithSecrets:
    password: Secret
    token: Secret | None = None
    tokens: tuple[Secret, ...] = ()


def test_secrets_are_shown_as_they_are_named_and_read_back(monkeypatch, tmp_path):
    monkeypatch.setenv("PASSWORD", "hunter2")
    file = tmp_path / "token"
    file.write_text("hunter3\n")
    secrets = WithSecrets(
        Secret(env="PASSWORD"), Secret(file=str(file)), (Secret(env="A"), Secret(env="PASSWORD"))
    )
    assert (secrets.password.reveal(), secrets.token.reveal()) == ("hunter2", "hunter3")
    shown = to_toml(effective_tables(Config(), {"p": secrets}))
    assert "hunter" not in shown
    assert "hunter" not in repr(secrets)
    table = tomllib.loads(shown)["plugin"]["p"]
    assert table["password"] == {"env": "PASSWORD"}
    assert structure(table, WithSecrets, "plugin.p") == secrets


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (Secret(env="PACS_NO_SUCH_VARIABLE"), "PACS_NO_SUCH_VARIABLE is not set"),
        (Secret(file="/no/such/file"), "'/no/such/file' cannot be read"),
    ],
)
def test_a_secret_that_is_not_there_says_where_it_should_be(secret, said):
    with pytest.raises(LookupError, match=said):
        secret.reveal()
