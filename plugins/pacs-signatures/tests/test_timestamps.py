"""Certified Timestamps by an authority that openssl is (RFC 3161, PS3.15 C.1)."""

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

CT = Path(get_testdata_file("CT_small.dcm"))


@pytest.fixture
def stamp(run, keys, authority, tmp_path):
    def sign(path="/", key="signer"):
        trusted = keys.certificate("authority")
        more = ["--timestamp-url", authority + path, "--timestamp-ca", trusted]
        return run("sign", CT, *keys.sign_with(key), "-o", tmp_path, "--overwrite", *more)

    return sign


@pytest.mark.parametrize("key", ["signer", "curve"])
def test_timestamps_are_asked_for_and_verified(run, dcmsign, keys, stamp, tmp_path, key):
    code, _, err = stamp(key=key)
    assert code == 0, err
    made = tmp_path / CT.name
    ca = ["--ca", keys.certificate("authority")]
    code, out, err = run("verify", "--json", "--require-timestamp", *ca, made)
    found = json.loads(out)
    assert (code, err, found["status"]) == (0, "", "valid")
    assert found["timestamp"][:10].replace("-", "") in {
        found["made"][:8], str(int(found["made"][:8]) + 1), str(int(found["made"][:8]) - 1)
    }  # fmt: skip
    assert dcmsign("+cf", keys.certificate("authority"), "+tr", made)[0]
    other = ["--any-signer", "--timestamp-ca", keys.certificate("stranger")]
    code, out, err = run("verify", *other, made)
    assert (code, ": invalid" in out, "its Certified Timestamp" in err) == (1, True, True)


def test_a_timestamp_of_another_signature_is_found(run, keys, stamp, tmp_path):
    stamp()
    first = dcmread(tmp_path / CT.name)
    stamp()
    second = dcmread(tmp_path / CT.name)
    token = first[0xFFFAFFFA][0].CertifiedTimestamp
    second[0xFFFAFFFA][0].CertifiedTimestamp = token
    second.save_as(tmp_path / "swapped.dcm")
    code, out, err = run("verify", "--ca", keys.certificate("authority"), tmp_path / "swapped.dcm")
    assert (code, ": invalid" in out, "its Certified Timestamp" in err) == (1, True, True)


def test_a_signature_without_timestamp_is_named_where_one_is_required(run, keys, tmp_path):
    run("sign", CT, *keys.sign_with("signer"), "-o", tmp_path)
    more = ["--ca", keys.certificate("authority"), "--require-timestamp"]
    code, _, err = run("verify", *more, tmp_path / CT.name)
    assert (code, "has no Certified Timestamp" in err) == (1, True)


@pytest.mark.parametrize("path", ["/refuse", "/other", "/nonsense"])
def test_nothing_is_written_without_the_timestamp_that_was_asked_for(stamp, tmp_path, path):
    code, _, err = stamp(path)
    assert (code, "internal error" in err) == (1, False)
    assert not list(tmp_path.iterdir())
