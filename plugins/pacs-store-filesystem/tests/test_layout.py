"""Templates: what is accepted, what keys they make, and which keys they know as theirs."""

from pathlib import Path

import cattrs
import pytest
from hypothesis import given, strategies as st
from pacs_store_filesystem import FilesystemConfig
from pacs_store_filesystem.layout import DEFAULT_LAYOUT, KeyLayout

from pacs_core.contracts import InstanceIdentity
from pacs_core.dimse import is_valid_uid

uids = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}", fullmatch=True)
identities = st.builds(InstanceIdentity, uids, uids, uids, uids)
variants = st.from_regex(r"[A-Za-z0-9]{0,64}", fullmatch=True)

names = st.sampled_from(["study", "series", "instance"])
hashes = st.builds("{{{}_hash:{}}}".format, names, st.integers(1, 8))
literals = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,5}", fullmatch=True)
directories = st.lists(hashes | literals, min_size=1, max_size=3).map("".join) | st.sampled_from(
    ["{study}", "{series}", "st-{study}", "{series_hash:2}-{series}.d"]
)
files = st.sampled_from(["{instance}", "{instance}.dcm", "i{instance_hash:4}_{instance}.x"])
templates = st.tuples(st.lists(directories, max_size=4), files).map(
    lambda t: "/".join([*t[0], t[1]])
)


@given(templates, identities, variants)
def test_keys_are_relative_paths_that_the_layout_knows(
    template: str, identity: InstanceIdentity, variant: str
) -> None:
    layout = KeyLayout.parse(template)
    key = layout.key(identity, variant)
    assert layout.could_make(key)
    assert not key.startswith("/")
    assert not any(part.startswith(".") or not part for part in key.split("/"))
    assert Path("/r", key).resolve().relative_to("/r").parts == tuple(key.split("/"))
    assert len(key.split("/")) == layout.depth


@given(templates, identities, identities, variants, variants)
def test_instances_and_variants_never_share_a_key(
    template: str, one: InstanceIdentity, other: InstanceIdentity, a: str, b: str
) -> None:
    layout = KeyLayout.parse(template)
    same = layout.key(one, a) == layout.key(other, b)
    assert not same or (one.sop_instance_uid, a) == (other.sop_instance_uid, b)


@given(templates, st.text(max_size=80))
def test_what_is_known_is_made_of_valid_uids(template: str, key: str) -> None:
    layout = KeyLayout.parse(template)
    if layout.could_make(key):
        assert key.isascii()
        assert ".." not in key


@given(templates, identities, st.data())
def test_a_changed_key_is_known_only_if_it_is_a_key(
    template: str, identity: InstanceIdentity, data: st.DataObject
) -> None:
    layout = KeyLayout.parse(template)
    key = layout.key(identity)
    at = data.draw(st.integers(0, len(key)))
    insertion = data.draw(st.sampled_from(["/", "..", "/../", "\x00", "\n", " ", "\u0661", "%"]))
    assert not layout.could_make(key[:at] + insertion + key[at:])


@given(uids)
def test_the_default_layout(uid: str) -> None:
    layout = KeyLayout.parse(DEFAULT_LAYOUT)
    assert layout.key(InstanceIdentity(uid, uid, uid, uid)) == f"{uid}/{uid}/{uid}.dcm"
    assert layout.could_make(f"1.2/3.4/{uid}-f00.dcm")
    assert not layout.could_make(f"1.2/3.4/{uid}-.dcm")
    assert not layout.could_make(f"1.2/3.4/{uid}..dcm")


def test_hashes_are_the_first_digits_of_sha256() -> None:
    layout = KeyLayout.parse("{study_hash:2}/{instance_hash:4}/{instance}.dcm")
    identity = InstanceIdentity("1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2")
    assert layout.key(identity, "b") == "c4/b8b9/1.2.3.4.5-b.dcm"
    assert layout.could_make("00/b8b9/1.2.3.4.5.dcm"), "the study is not in the key"
    assert not layout.could_make("c4/b8b8/1.2.3.4.5.dcm"), "not the hash of this instance"


def test_a_uid_that_occurs_twice_must_be_the_same() -> None:
    layout = KeyLayout.parse("{study}/x{study}/{instance}")
    assert layout.could_make("1.2/x1.2/3")
    assert not layout.could_make("1.2/x1.3/3")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("", "empty path component"),
        ("{study}/{series}", "must have the field {instance}"),
        ("{instance}/{instance}.dcm", "{instance} once"),
        ("{instance_hash:8}.dcm", "must have the field {instance}"),
        ("/{instance}.dcm", "must be relative"),
        ("../{instance}.dcm", "begins with a dot"),
        ("{study}/../{instance}.dcm", "begins with a dot"),
        ("./{instance}.dcm", "begins with a dot"),
        (".incoming/{instance}", "begins with a dot"),
        ("{study}//{instance}.dcm", "empty path component"),
        ("{study}/{instance}/", "empty path component"),
        ("{patient}/{instance}.dcm", "unknown field {patient}"),
        ("{}/{instance}", "unknown field {}"),
        ("{study!r}/{instance}", "unknown field {study!r}"),
        ("{study.__class__}/{instance}", "unknown field"),
        ("{study:2}/{instance}", "unknown field {study:2}"),
        ("{sop_hash:2}/{instance}", "unknown field {sop_hash:2}"),
        ("{study_hash:0}/{instance}", "unknown field {study_hash:0}"),
        ("{study_hash:9}/{instance}", "may have 1 to 8 digits"),
        ("{study_hash:99999999999999999999}/{instance}", "may have 1 to 8 digits"),
        ("{study_hash}/{instance}", "unknown field {study_hash}"),
        ("{study}-{series}/{instance}", "two UIDs in one path component"),
        ("{study/{instance}", "the character '{' is not allowed"),
        ("a b/{instance}", "the character ' ' is not allowed"),
        ("a\\b/{instance}", "is not allowed"),
        ("a\x00b/{instance}", "is not allowed"),
        ("\u00e9/{instance}", "is not allowed"),
        ("x" * 200 + "{instance}", "could exceed 255 characters"),
        ("a/" * 20 + "{instance}", "more than 16 path components"),
    ],
)
def test_an_unusable_template_is_refused_with_the_reason(template: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        FilesystemConfig(layout=template)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"layout {template!r}")


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("{}/._:"), max_size=40))
def test_any_text_is_a_template_or_refused(template: str) -> None:
    try:
        layout = KeyLayout.parse(template)
    except ValueError:
        return
    assert layout.could_make(layout.key(InstanceIdentity("1", "2", "3", "4")))


@given(st.text(max_size=70))
def test_a_uid_that_is_none_has_no_key(uid: str) -> None:
    identity = InstanceIdentity("1", "2", uid, "4")
    layout = KeyLayout.parse(DEFAULT_LAYOUT)
    if is_valid_uid(uid):
        assert layout.key(identity) == f"1/2/{uid}.dcm"
    else:
        with pytest.raises(ValueError, match="not a valid UID"):
            layout.key(identity)


def test_the_table_is_structured_into_the_config() -> None:
    table = {"root": "/srv/objects", "layout": "{instance_hash:2}/{instance}", "threads": 4}
    config = cattrs.structure(table, FilesystemConfig)
    assert config == FilesystemConfig(Path("/srv/objects"), "{instance_hash:2}/{instance}", 4)
    assert cattrs.structure({}, FilesystemConfig) == FilesystemConfig()
    with pytest.raises(ValueError, match="threads"):
        FilesystemConfig(threads=0)
