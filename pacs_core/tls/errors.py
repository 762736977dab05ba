"""Failures of TLS in words: what was wrong, and with whom."""

import ssl
from typing import Final

from pacs_core.contracts import TlsError

_VERIFY_CODES: Final = {  # X509_V_ERR of OpenSSL
    2: "unknown-ca",
    9: "not-yet-valid",
    10: "expired",
    18: "self-signed",
    19: "unknown-ca",
    20: "unknown-ca",
    21: "unknown-ca",
    24: "unknown-ca",
    26: "wrong-purpose",
    62: "wrong-host",
    64: "wrong-host",
    66: "too-weak",
    67: "too-weak",
    68: "too-weak",
}

_REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": ("no-certificate", "it showed no certificate"),
    "UNSUPPORTED_PROTOCOL": ("version", "it offers no version above TLS 1.1"),
    "VERSION_TOO_LOW": ("version", "it offers no version above TLS 1.1"),
    "NO_PROTOCOLS_AVAILABLE": ("version", "there is no version that both have"),
    "NO_SHARED_CIPHER": ("cipher-suite", "it offers no permitted cipher suite"),
    "NO_SUITABLE_SIGNATURE_ALGORITHM": ("cipher-suite", "it offers no permitted signature"),
    "EXCESSIVE_MESSAGE_SIZE": ("protocol", "its certificates, or another message, are too long"),
    "INAPPROPRIATE_FALLBACK": ("version", "it was made to offer less than it can (downgrade)"),
    "WRONG_VERSION_NUMBER": ("no-tls", "what it sends is no TLS"),
    "HTTP_REQUEST": ("no-tls", "it speaks HTTP"),
    "UNEXPECTED_EOF_WHILE_READING": ("closed", "it closed the connection"),
}

_ALERTS: Final = {  # RFC 8446 §6.2, as OpenSSL names them
    "CERTIFICATE_EXPIRED": "our certificate has expired",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "BAD_CERTIFICATE": "it does not accept our certificate, or none",
    "CERTIFICATE_REQUIRED": "it requires a certificate of ours, and there is none",
    "UNKNOWN_CA": "it does not trust who issued our certificate",
    "PROTOCOL_VERSION": "it permits no version that this side does",
    "HANDSHAKE_FAILURE": "it permits no cipher suite that this side does, or wants a certificate",
    "INSUFFICIENT_SECURITY": "it wants stronger cipher suites",
    "INTERNAL_ERROR": "an error of its own",
    "DECRYPT_ERROR": "a signature of ours is wrong",
}


def reason_of(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in small letters."""
    return (error.reason or str(error.args[-1])).replace("_", " ").lower()


def explain(error: ssl.SSLError) -> TlsError:
    """Return what a failure of OpenSSL means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = _VERIFY_CODES.get(error.verify_code, "bad-certificate")
        return TlsError(f"its certificate is not accepted: {error.verify_message}", code)
    reason = error.reason or ""
    if "ALERT_" in reason:
        alert = reason.partition("ALERT_")[2]
        meaning = _ALERTS.get(alert, alert.replace("_", " ").lower())
        return TlsError(f"it refused: {meaning} (alert)", "refused-by-peer")
    code, meaning = _REASONS.get(reason, ("protocol", f"TLS failed: {reason_of(error)}"))
    return TlsError(meaning, code)
