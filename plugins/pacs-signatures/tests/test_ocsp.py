"""OCSP responses in files (RFC 6960), beside revocation lists."""

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from .conftest import OPENSSL
from .test_revocation import DAY, NOW, certificate_of, make_list, signed, write

__all__ = ["signed"]  # a fixture
OCSP_SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])


def private_key(keys, name):
    return load_pem_private_key(keys.key(name).read_bytes(), None)


@pytest.fixture(scope="module")
def responders(keys):
    """Make those who answer: with a certificate for it, with another one, and of a stranger."""
    authority = certificate_of(keys, "authority"), private_key(keys, "authority")
    keys.make("responder", issuer=authority, extensions=[OCSP_SIGNING])
    keys.make("presumptuous", issuer=authority)
    stranger = certificate_of(keys, "stranger"), private_key(keys, "stranger")
    keys.make("foreign", issuer=stranger, extensions=[OCSP_SIGNING])
    return keys


def make_response(
    keys, *, about="signer", by="authority", revoked=None, last=-1, following=1, unknown=False,
    algorithm=None, encoding=ocsp.OCSPResponderEncoding.HASH, issuer="authority",
):  # fmt: skip
    """Make a response of `by`: revoked so many days from now, or good."""
    status = ocsp.OCSPCertStatus.GOOD if revoked is None else ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate_of(keys, about),
        issuer=certificate_of(keys, issuer),
        algorithm=algorithm or hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.UNKNOWN if unknown else status,
        this_update=NOW + last * DAY,
        next_update=None if following is None else NOW + following * DAY,
        revocation_time=None if revoked is None else NOW + revoked * DAY,
        revocation_reason=None,
    ).responder_id(encoding, certificate_of(keys, by))  # fmt: skip
    if by != "authority":
        builder = builder.certificates([certificate_of(keys, by)])
    return builder.sign(private_key(keys, by), hashes.SHA256())


@pytest.fixture
def judge(run, keys, signed, tmp_path):
    """Verify the CT with responses, and lists; return exit code and messages."""

    def verify(*found):
        for number, each in enumerate(found):
            (tmp_path / f"{number}.der").write_bytes(each.public_bytes(Encoding.DER))
        code, _, err = run(
            "verify", signed, "--ca", keys.certificate("authority"), "--ocsp", tmp_path
        )
        return code, err

    return verify


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"by": "responder"},
        {"by": "responder", "encoding": ocsp.OCSPResponderEncoding.NAME},
        {"algorithm": hashes.SHA256()},
        {"revoked": 1},
    ],
)
def test_who_is_good_is_trusted(judge, responders, made):
    found = [make_response(responders, **made)]
    if "revoked" in made:  # not yet: no answer says that he is good, so a list must
        found.append(make_list(responders))
    assert judge(*found) == (0, "")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"revoked": -2}, "CN=signer was revoked on"),
        ({"revoked": -2, "by": "responder"}, "CN=signer was revoked on"),
        ({"unknown": True}, "nor an OCSP response that it is good"),
        ({"about": "curve"}, "nor an OCSP response"),
        ({"issuer": "stranger"}, "nor an OCSP response"),
        ({"by": "stranger"}, "nor an OCSP response"),
        ({"by": "presumptuous"}, "nor an OCSP response"),
        ({"by": "foreign"}, "nor an OCSP response"),
        ({"last": -3, "following": -2}, "the OCSP response for CN=signer holds until"),
        ({"following": None}, "the OCSP response for CN=signer holds until"),
    ],
)
def test_who_is_not_known_to_be_good_is_not_trusted(judge, responders, made, reason):
    code, err = judge(make_response(responders, **made))
    assert (code, reason in err) == (1, True), err


def test_a_response_and_a_list_supplement_each_other(judge, keys):
    """What one of them says of a revocation holds, whatever the other says."""
    assert judge(make_response(keys), make_list(keys, [("signer", -2)]))[0] == 1
    assert judge(make_response(keys, revoked=-2), make_list(keys))[0] == 1
    assert judge(make_response(keys, last=-3, following=-2), make_list(keys)) == (0, "")


def test_each_byte_counts(judge, keys):
    """A response that was tampered with says nothing, or cannot be read."""
    data = bytearray(make_response(keys).public_bytes(Encoding.DER))

    class Tampered:
        def public_bytes(self, _):
            return bytes(data)

    for place in range(40, len(data), 29):
        data[place] ^= 0x55
        code, err = judge(Tampered())
        assert code in {1, 2}, (place, err)
        data[place] ^= 0x55
    assert judge(Tampered()) == (0, "")


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
def test_responses_that_openssl_makes(run, keys, responders, signed, tmp_path):
    certificate = certificate_of(keys, "signer")
    index = tmp_path / "index.txt"
    for status, revoked, expected in (("V", "", 0), ("R", "200101000000Z", 1)):
        index.write_text(f"{status}\t491231235959Z\t{revoked}\t{certificate.serial_number:X}\t"
                         "unknown\t/CN=signer\n")  # fmt: skip
        answer = tmp_path / "answer.der"
        subprocess.run(
            [OPENSSL, "ocsp", "-index", index, "-CA", keys.certificate("authority"),
             "-rsigner", keys.certificate("responder"), "-rkey", keys.key("responder"),
             "-issuer", keys.certificate("authority"), "-cert", keys.certificate("signer"),
             "-ndays", "2", "-noverify", "-respout", answer],
            check=True, capture_output=True,
        )  # fmt: skip
        line = ["verify", signed, "--ca", keys.certificate("authority"), "--ocsp", answer]
        assert run(*line)[0] == expected
    pem = tmp_path / "both.pem"
    write(pem, make_list(keys))
    run_pem = ["verify", signed, "--ca", keys.certificate("authority"), "--crl", pem]
    assert run(*run_pem)[0] == 0
    text = subprocess.run([OPENSSL, "base64", "-in", answer], capture_output=True, check=True)
    pem.write_bytes(
        pem.read_bytes()
        + b"-----BEGIN OCSP RESPONSE-----\n" + text.stdout + b"-----END OCSP RESPONSE-----\n"
    )  # fmt: skip
    assert run(*run_pem)[0] == 1
