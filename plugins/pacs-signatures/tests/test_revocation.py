"""Revocation lists, and certificates that have lapsed since a timestamp (RFC 5280 §5, §6.3)."""

import datetime
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from hypothesis import given, strategies as st
from pacs_signatures.revocation import RevocationLists, load_lists
from pydicom.data import get_testdata_file

CT = Path(get_testdata_file("CT_small.dcm"))
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def certificate_of(keys, name):
    return x509.load_pem_x509_certificate(keys.certificate(name).read_bytes())


def make_list(
    keys,
    revoked=(),
    *,
    issuer="authority",
    named="",
    last=-1,
    following=1,
    extensions=(),
    known=None,
):
    """Make a list of authority `issuer`, or that pretends to be of `named`."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate_of(keys, named or issuer).subject)
        .last_update(NOW + last * DAY)
        .next_update(NOW + following * DAY)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    for name, days in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(certificate_of(keys, name).serial_number)
            .revocation_date(NOW + days * DAY)
        )
        if known is not None:
            entry = entry.add_extension(x509.InvalidityDate(NOW + known * DAY), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    key = load_pem_private_key(keys.key(issuer).read_bytes(), None)
    return builder.sign(key, hashes.SHA256())


def write(path, *lists, encoding=Encoding.PEM):
    path.write_bytes(b"".join(each.public_bytes(encoding) for each in lists))
    return path


@pytest.fixture(scope="module")
def signed(keys, tmp_path_factory):
    """A CT that is signed by an authority's signer."""
    from pacs_core.api.commands import main

    output = tmp_path_factory.mktemp("signed")
    assert main(["sign", str(CT), *keys.sign_with("signer"), "-o", str(output)]) == 0
    return output / CT.name


@pytest.fixture
def judge(run, keys, signed, tmp_path):
    """Verify the CT with lists; return exit code and messages."""

    def verify(*lists, encoding=Encoding.PEM):
        path = write(tmp_path / "lists.crl", *lists, encoding=encoding)
        code, _, err = run("verify", signed, "--ca", keys.certificate("authority"), "--crl", path)
        return code, err

    return verify


def test_who_is_not_on_the_list_is_trusted(judge, keys):
    others = make_list(keys, [("curve", -2)]), make_list(keys, issuer="stranger")
    assert judge(*others) == (0, "")
    assert judge(make_list(keys), encoding=Encoding.DER) == (0, "")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"revoked": [("signer", -2)]}, "CN=signer was revoked on"),
        ({"issuer": "stranger"}, "there is no revocation list of CN=authority for CN=signer"),
        ({"issuer": "stranger", "named": "authority"}, "there is no revocation list"),
        ({"last": -3, "following": -2}, "was to be renewed until"),
        ({"extensions": [x509.DeltaCRLIndicator(1)]}, "there is no revocation list"),
        (
            {"extensions": [x509.IssuingDistributionPoint(
                None, None, False, True, None, False, False)]},
            "there is no revocation list",
        ),
    ],
)  # fmt: skip
def test_who_is_revoked_or_cannot_be_looked_up_is_not_trusted(judge, keys, made, reason):
    code, err = judge(make_list(keys, **made))
    assert (code, reason in err) == (1, True), err


def test_lists_of_a_folder_and_what_is_none(run, keys, signed, tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    write(folder / "stranger.crl", make_list(keys, issuer="stranger"))
    write(folder / "authority.crl", make_list(keys))
    line = ["verify", signed, "--ca", keys.certificate("authority"), "--crl"]
    assert run(*line, folder)[0] == 0
    write(folder / "authority.crl", make_list(keys, [("signer", -2)]))
    assert run(*line, folder)[0] == 1
    (folder / "notes").write_text("no list")
    code, _, err = run(*line, folder)
    assert (code, f"{folder}/notes is no revocation list" in err) == (2, True)
    assert run("verify", signed, "--any-signer", "--crl", folder)[0] == 2


@given(
    when=st.integers(-400, 400),
    revoked=st.none() | st.integers(-400, 400),
    known=st.none() | st.integers(-400, 400),
    period=st.tuples(st.integers(-400, 400), st.integers(-400, 400)).map(sorted),
)
def test_a_certificate_is_good_before_it_is_revoked(keys, when, revoked, known, period):
    """RFC 5280 §6.3.3: what holds of a time is said by a list that was not out of date then."""
    last, following = period
    entries = [] if revoked is None else [("signer", revoked)]
    made = make_list(keys, entries, last=last, following=following, known=known)
    chain = [certificate_of(keys, "signer"), certificate_of(keys, "authority")]
    fault = RevocationLists((made,)).find_fault(chain, NOW + when * DAY)
    since = min(each for each in (revoked, known, 999) if each is not None)
    if revoked is not None and since <= when:
        assert "was revoked" in fault
    elif when > following or last >= 30:  # the certificate lapses in 30 days, or so
        assert fault
    elif last < 29:
        assert not fault


def test_a_timestamp_outlives_certificate_and_revocation(
    run, keys, authority, tmp_path, monkeypatch
):
    """PS3.15 C.1: the Certified Timestamp says when the signature was there."""
    trusted = keys.certificate("authority")
    for name, more in (
        ("stamped", ["--timestamp-url", authority + "/", "--timestamp-ca", trusted]),
        ("bare", []),
    ):
        assert run("sign", CT, *keys.sign_with("signer"), "-o", tmp_path / name, *more)[0] == 0
    revoked = write(tmp_path / "crl", make_list(keys, [("signer", 1)], last=2, following=50))
    monkeypatch.setattr("pacs_signatures.verifying.now", lambda: NOW + 40 * DAY)
    for crl in ([], ["--crl", revoked]):
        line = ["verify", "--json", "--ca", trusted, *crl]
        code, out, err = run(*line, tmp_path / "stamped")
        assert (code, err, json.loads(out)["status"]) == (0, "", "valid")
        code, out, err = run(*line, tmp_path / "bare")
        assert (code, json.loads(out)["status"]) == (1, "untrusted")
        assert "was valid until" in err


def test_a_list_is_read_again_when_it_is_another(keys, tmp_path):
    path = write(tmp_path / "a.crl", make_list(keys))
    assert not list(load_lists([path]).lists[0])
    write(path, make_list(keys, [("signer", -1)]))
    assert len(list(load_lists([path]).lists[0])) == 1
