"""Errors in a configuration: all at once, each with its path, before anything else happens."""

from pathlib import Path

import pytest
from attrs import field, frozen

from pacs_core.archive import Durability
from pacs_core.config import Config, ConfigError, load_config, structure
from pacs_core.contracts import Secret


@pytest.fixture
def load(tmp_path):
    def load(text, **overrides):
        path = tmp_path / "pacs.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, overrides)

    return load


def problems_of(load, text):
    with pytest.raises(ConfigError) as caught:
        load(text)
    return caught.value.problems


def test_nothing_configured_is_a_configuration(load):
    assert load("") == Config()


def test_every_error_of_every_table_is_reported_with_its_path(load):
    problems = problems_of(
        load,
        """
        surprise = 1

        [node]
        ae_title = "SEVENTEEN_LETTERS"
        port = "11112"
        colour = "red"

        [network]
        max_associations = 0
        timeouts = { artim = "soon", idle = true }

        [archive]
        duplicates = "ignore"

        [plugins]
        disabled = "one"
        order = ["a", 2, 3]

        [peers.CT]
        ae_title = "CT"
        port = 0

        [log]
        level = "loud"

        [plugin.audit-json]
        nonsense = 1

        [plugin.not-installed]
        """,
    )
    beginnings = (
        "surprise: unknown table",
        "node.ae_title: an AE title has 1 to 16",
        "node.port: expected a whole number, found '11112'",
        "node: unknown key 'colour'; known are ae_title,",
        "network.max_associations: ",
        "network.timeouts.artim: expected a number, found 'soon'",
        "network.timeouts.idle: expected a number, found True",
        "archive.duplicates: 'ignore' is none of 'keep-first'",
        "plugins.disabled: expected a list, found 'one'",
        "plugins.order[1]: expected a string, found 2",
        "plugins.order[2]: expected a string, found 3",
        "peers.CT.port: ",
        "log.level: ",
    )
    found = {b: [p for p in problems if p.startswith(b)] for b in beginnings}
    assert {b: len(each) for b, each in found.items()} == dict.fromkeys(beginnings, 1)
    assert len(problems) == len(beginnings), problems  # which plugins to ask is not known


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "the required key 'ae_title' is missing"),
        ('ae_title = "CT"', "the required key 'host' is missing"),
        ('host = "ct"', "the required key 'ae_title' is missing"),
        ('host = "ct"\ndicomweb = "https://ct/"', "the required key 'ae_title' is missing"),
        ('dicomweb = "ftp://ct/"', "dicomweb: write it as https://host/dicom-web"),
        ('dicomweb = "https://me:secret@ct/"', "dicomweb has a user in it"),
        ('dicomweb = "https://ct/"\ndicomweb_user = "me"', "dicomweb_password go together"),
        ('dicomweb = "http://ct/"\ndicomweb_token = { env = "T" }', "secrets are sent by https:"),
        ('ae_title = "CT"\nhost = "ct"\ndicomweb_user = "me"', "dicomweb is missing"),
    ],
)
def test_a_peer_is_an_application_entity_or_a_web_server(load, keys, said):
    (problem,) = problems_of(load, f"[peers.CT]\n{keys}")
    assert problem.startswith("peers.CT: ")
    assert said in problem
    assert "secret@" not in problem


def test_plugin_tables_are_checked_even_if_the_kernels_are_wrong(load):
    problems = problems_of(
        load,
        """
        [node]
        port = -1
        [plugins]
        strict = false
        [plugin.audit-json]
        nonsense = 1
        [plugin.not-installed]
        """,
    )
    assert [problem.split(":")[0] for problem in sorted(problems)] == [
        "node.port",
        "plugin.audit-json",
        "plugin.not-installed",
    ]


@pytest.mark.parametrize("table", ["node", "network", "plugins", "peers", "plugin", "log"])
@pytest.mark.parametrize("value", ["1", '"text"', "[]", "true"])
def test_what_should_be_a_table_is_one(load, table, value):
    (problem,) = problems_of(load, f"{table} = {value}")
    assert problem.startswith(f"{table}: expected a table, found ")


@pytest.mark.parametrize("name", ["peers.CT", "plugin.sop-storage"])
def test_what_should_be_a_table_of_tables_is_one(load, name):
    (problem,) = problems_of(load, f"{name} = 1")
    assert problem.startswith(f"{name}: expected a table, found 1")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize("content", [b"[node", b"\xff\xfe", b"port = 1\nport = 2"])
def test_a_file_that_is_not_toml(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(path)


def test_the_file_is_found_where_the_environment_says(load, tmp_path, monkeypatch):
    load("node.port = 4242")
    monkeypatch.setenv("PACS_CONFIG", str(tmp_path / "pacs.toml"))
    assert load_config().node.port == 4242
    monkeypatch.delenv("PACS_CONFIG")
    monkeypatch.chdir(tmp_path)
    assert load_config().node.port == 4242
    monkeypatch.chdir("/")
    assert load_config().node.port == 11112


def test_overrides_go_before_the_file_unless_they_are_none(load):
    config = load("node.port = 1\nnode.host = 'h'", node={"port": 2, "host": None})
    assert (config.node.port, config.node.host) == (2, "h")


def test_overrides_are_checked_as_well(load):
    with pytest.raises(ConfigError, match=r"node\.port"):
        load("", node={"port": 65536})


@pytest.mark.parametrize(
    "title", ["A", "SIXTEEN_LETTERS_", "with space", "!#$%&'()*+,-./", "0123456789ABCDEF"]
)
def test_ae_titles_that_are_allowed(load, title):
    """PS3.5 Table 6.2-1: the default repertoire without control characters and backslash."""
    assert load(f'node.ae_title = "{title}"').node.ae_title == title


@pytest.mark.parametrize(
    "title",
    ["", " ", " A", "A ", "SEVENTEEN_LETTERS", "A\\\\B", "Ä", "A\\tB", "A\\u0000", "A\\u007f"],
)
@pytest.mark.parametrize("key", ["node.ae_title", "peers.X.ae_title"])
def test_ae_titles_that_are_not(load, key, title):
    problems = problems_of(load, f'{key} = "{title}"')
    assert any(problem.startswith(f"{key}: an AE title ") for problem in problems)


@frozen
class Everything:
    text: str = ""
    whole: int = 0
    number: float = 0.0
    flag: bool = False
    path: Path = Path()
    secret: Secret | None = None
    maybe: int | None = None
    choice: Durability = Durability.COMMIT
    texts: tuple[str, ...] = ()
    numbers: list[int] = field(factory=list)
    names: frozenset[str] = frozenset()
    table: dict[str, int] = field(factory=dict)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text", 1),
        ("text", True),
        ("text", ["a"]),
        ("whole", "1"),
        ("whole", 1.0),
        ("whole", True),
        ("number", "1.5"),
        ("number", False),
        ("flag", 1),
        ("flag", "true"),
        ("path", 1),
        ("secret", "hunter2"),
        ("secret", {}),
        ("secret", {"env": "A", "file": "b"}),
        ("secret", {"value": "hunter2"}),
        ("secret", {"env": 1}),
        ("maybe", "1"),
        ("choice", "sometimes"),
        ("choice", []),
        ("texts", "abc"),
        ("texts", {"a": 1}),
        ("texts", 1),
        ("numbers", "123"),
        ("names", "abc"),
        ("table", "a=1"),
        ("table", [1]),
    ],
)
def test_types_are_strict_and_named_by_path(key, value):
    with pytest.raises(ConfigError) as caught:
        structure({key: value}, Everything, "plugin.x")
    (problem,) = caught.value.problems
    assert problem.startswith(f"plugin.x.{key}: ")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("key", "value", "structured"),
    [
        ("number", 2, 2.0),
        ("path", "/a/b", Path("/a/b")),
        ("secret", {"env": "A"}, Secret(env="A")),
        ("secret", {"file": "a"}, Secret(file="a")),
        ("maybe", 3, 3),
        ("choice", "none", Durability.NONE),
        ("texts", ["a", "b"], ("a", "b")),
        ("numbers", [1], [1]),
        ("names", ["a", "a"], frozenset({"a"})),
        ("table", {"a": 1}, {"a": 1}),
    ],
)
def test_values_of_the_right_type_are_taken(key, value, structured):
    result = getattr(structure({key: value}, Everything, "x"), key)
    assert (result, type(result)) == (structured, type(structured))


def test_home_is_expanded():
    assert structure({"path": "~/x"}, Everything, "x").path == Path.home() / "x"
