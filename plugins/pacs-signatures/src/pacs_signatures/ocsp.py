"""OCSP responses that lie in files (RFC 6960): what an authority has answered of one certificate.

How it works: a response counts if it is signed by the issuer of the certificate, or by a responder
to which that issuer has given a certificate for the purpose (§4.2.2.2), and is about it by the
hashes of its issuer and by its serial number (§4.1.1). A nonce is not asked for: nobody has asked
just now, and how old an answer may be is what it says itself.
"""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

_UNUSABLE: Final = (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError)


def find_answers(
    response: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> list[ocsp.OCSPSingleResponse]:
    """Return what a response says of a certificate; nothing if it is not to be believed."""
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return []
    try:
        answers = list(response.responses)
        # The library shows extensions of an answer where there is only one, which is the rule.
        extensions = [response.extensions, *([response.single_extensions] * (len(answers) == 1))]
        if any(map(_has_unknown, extensions)) or not _is_signed(response, issuer):
            return []
        return [each for each in answers if _is_about(each, certificate, issuer)]
    except _UNUSABLE:
        return []


def is_good(answer: ocsp.OCSPSingleResponse) -> bool:
    """Tell whether an answer says that the certificate is not revoked, rather than unknown."""
    return answer.certificate_status is ocsp.OCSPCertStatus.GOOD


def holds_until(answer: ocsp.OCSPSingleResponse) -> datetime:
    """Return until when an answer holds.

    One that says nothing of it could have been asked for again at any time (RFC 6960 §4.2.2.1).
    """
    return answer.next_update_utc or answer.this_update_utc


def _is_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    responders = [issuer, *(each for each in response.certificates if _may(each, response, issuer))]
    return any(_is_by(each, response) and _verifies(each, response) for each in responders)


def _may(
    responder: x509.Certificate, response: ocsp.OCSPResponse, issuer: x509.Certificate
) -> bool:
    """Tell whether an issuer lets somebody else answer."""
    try:
        responder.verify_directly_issued_by(issuer)
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (*_UNUSABLE, x509.ExtensionNotFound):
        return False
    made = response.produced_at_utc
    is_valid = responder.not_valid_before_utc <= made <= responder.not_valid_after_utc
    return is_valid and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _is_by(responder: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    if response.responder_name is not None:
        return response.responder_name == responder.subject
    key = x509.SubjectKeyIdentifier.from_public_key(responder.public_key())
    return response.responder_key_hash == key.digest


def _verifies(responder: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, signature, content = (
        responder.public_key(), response.signature, response.tbs_response_bytes,
    )  # fmt: skip
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, content)
            return True
        algorithm = response.signature_hash_algorithm
        if algorithm is None:
            return False
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(algorithm))
        else:
            return False
    except _UNUSABLE:
        return False
    return True


def _is_about(
    answer: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    if answer.serial_number != certificate.serial_number:
        return False
    builder = ocsp.OCSPRequestBuilder()
    asked = builder.add_certificate(certificate, issuer, answer.hash_algorithm).build()
    return (asked.issuer_name_hash, asked.issuer_key_hash) == (
        answer.issuer_name_hash,
        answer.issuer_key_hash,
    )


def _has_unknown(extensions: x509.Extensions) -> bool:
    return any(
        each.critical and isinstance(each.value, x509.UnrecognizedExtension) for each in extensions
    )
