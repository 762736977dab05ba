"""The tables of cipher suites, and what OpenSSL's failures are called."""

import ssl

import pytest

from pacs_core.contracts import TlsProfile
from pacs_core.tls import SUITES, explain
from pacs_core.tls.profiles import cipher_string

# PS3.15 B.13, for TLS 1.2, as IANA names them; those with Camellia are optional (CP-2311).
MODIFIED = [
    "TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
]


def openssl_name(iana):
    """Return OpenSSL's name of a suite."""
    name = iana.removeprefix("TLS_").replace("_WITH", "").replace("AES_", "AES")
    name = name.replace("CAMELLIA_", "CAMELLIA").replace("CCM_8", "CCM8").replace("_", "-")
    return name.removesuffix("-SHA256") if "POLY1305" in name else name


def test_the_suites_of_the_modified_profile_are_those_of_the_standard():
    assert {openssl_name(name) for name in MODIFIED} == set(SUITES[TlsProfile.BCP195_MODIFIED])


def test_the_suites_of_bcp_195_are_those_that_rfc_9325_recommends():
    recommended = [name for name in MODIFIED if "AES" in name and "GCM" in name]
    assert {openssl_name(name) for name in recommended} == set(SUITES[TlsProfile.BCP195])


@pytest.mark.parametrize("profile", SUITES)
def test_the_stronger_come_first(profile):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(cipher_string(profile, ""))
    assert context.security_level == 2
    bits = [
        each["strength_bits"] for each in context.get_ciphers() if each["protocol"] == "TLSv1.2"
    ]
    assert bits == sorted(bits, reverse=True)
    assert {256, 128} == set(bits)


def failure(reason):
    error = ssl.SSLError(1, f"[SSL: {reason}] text (_ssl.c:1)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "code", "said"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "refused-by-peer", "it requires a certificate"),
        ("TLSV1_ALERT_UNKNOWN_CA", "refused-by-peer", "does not trust who issued"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "refused-by-peer", "our certificate has expired"),
        ("TLSV1_ALERT_NO_RENEGOTIATION", "refused-by-peer", "no renegotiation"),
        ("NO_SHARED_CIPHER", "cipher-suite", "no permitted cipher suite"),
        ("SOMETHING_NEW_OF_OPENSSL", "protocol", "TLS failed: something new of openssl"),
    ],
)
def test_failures_in_words(reason, code, said):
    found = explain(failure(reason))
    assert found.code == code
    assert said in str(found)
