"""Offers to a server, made with ``openssl s_client``: which it takes, and which are permitted."""

import re

RECOMMENDED = {  # RFC 9325 §4.2, and so PS3.15 B.12
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
}
MODIFIED = RECOMMENDED | {  # PS3.15 B.13, without Camellia, which OpenSSL has not with GCM
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES256-CCM8",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
}
PERMITTED = {"bcp195": RECOMMENDED, "bcp195-modified": MODIFIED}

SUITES_OF_TLS_1_3 = {
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
}
CCM_OF_TLS_1_3 = ("TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256")


def offer(programs, port, *arguments, pem=None):
    """Return version and suite that the server chose of an offer; None if it refused it."""
    own = () if pem is None else ("-cert", pem.certificate, "-key", pem.key)
    where = ("s_client", "-connect", f"127.0.0.1:{port}", *own, *arguments)
    output = programs.run("openssl", *where, code=None)
    suite = re.search(r"^New, (TLSv1\.\d), Cipher is (\S+)$", output, re.MULTILINE)
    return suite.groups() if suite and suite[2] != "(NONE)" else None


def list_suites(programs, chosen):
    """Return the suites of TLS 1.2 that this OpenSSL has of those that are chosen."""
    output = programs.run("openssl", "ciphers", "-s", "-tls1_2", chosen)
    return {name for name in output.strip().split(":") if not name.startswith("TLS_")}


def check_offers(programs, port, profile, kind, pem=None):
    """Offer every version, and every suite that OpenSSL has for a kind of key.

    Parameters
    ----------
    programs : PeerPrograms
    port : int
    profile : str
    kind : str
        ``"RSA"`` or ``"ECDSA"``: what the server's certificate has.
    pem : Pem, optional
        What the client shows.
    """
    weak = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
    for version in ("-tls1", "-tls1_1"):
        assert offer(programs, port, version, "-cipher", weak, pem=pem) is None

    permitted = PERMITTED[profile]
    possible = {suite for suite in permitted if f"-{kind}-" in suite}
    # OpenSSL 3.2 and later count CCM8 as too weak for any but level 0.
    possible &= list_suites(programs, "ALL:@SECLEVEL=2")
    for suite in possible:
        chosen = offer(programs, port, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=2", pem=pem)
        assert chosen == ("TLSv1.2", suite)
    # A server that took any of these would agree to all of them together.
    others = list_suites(programs, weak) - permitted
    assert len(others) > 50
    unwanted = ":".join((*sorted(others), "@SECLEVEL=0"))
    assert offer(programs, port, "-tls1_2", "-cipher", unwanted, pem=pem) is None

    for suite in SUITES_OF_TLS_1_3:
        chosen = offer(programs, port, "-tls1_3", "-ciphersuites", suite, pem=pem)
        assert chosen == ("TLSv1.3", suite)
    ccm = ":".join(CCM_OF_TLS_1_3)
    assert offer(programs, port, "-tls1_3", "-ciphersuites", ccm, pem=pem) is None
    everything = ("-ciphersuites", f"{ccm}:{':'.join(sorted(SUITES_OF_TLS_1_3))}")
    chosen = offer(programs, port, *everything, pem=pem)
    assert chosen == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")  # the strongest (RFC 9325 §4.2)
