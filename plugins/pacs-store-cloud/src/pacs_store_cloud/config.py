"""The tables ``[stores.NAME]`` of the types ``s3``, ``azure`` and ``gcs``."""

import os
import re
from pathlib import Path
from typing import Any, Final, Literal

from attrs import Attribute, field, frozen, validators

from pacs_core.contracts import Secret, StoreName

MEBIBYTE: Final = 1024 * 1024
_PREFIX = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?")


def _valid_prefix(_: object, __: "Attribute[Any]", value: str) -> None:
    if value and (
        not _PREFIX.fullmatch(value) or any(part in (".", "..") for part in value.split("/"))
    ):
        raise ValueError(
            f"prefix {value!r}: letters, digits, '.', '_', '-', with '/' between names"
        )


def _encrypted(config: "CloudConfig", _: object, value: str) -> None:
    # The library would only say that it could not send, after all attempts.
    allowed = config.allow_http or any(
        os.environ.get(f"{service}_ALLOW_HTTP", "").lower() == "true"
        for service in ("AWS", "AZURE", "GOOGLE")
    )
    if value.startswith("http://") and not allowed:
        raise ValueError(
            f"endpoint {value!r} is without TLS: take https://, "
            "or set allow_http = true if nobody else is on the network between"
        )


def _named(what: str) -> Any:
    def check(_: object, __: "Attribute[Any]", value: str) -> None:
        if not value:
            raise ValueError(f"name the {what}")

    return field(default="", validator=check)


@frozen(kw_only=True)
class CloudConfig:
    """What all of these stores have.

    Attributes
    ----------
    prefix : str
        What all names in the bucket begin with: several stores may share a bucket.
    spread : int
        Hexadecimal digits, hashed from the series, that names begin with after the prefix: the
        service splits load by the beginnings of names. 0 for none. Not to be changed later.
    endpoint : str
        URL of a service that is not the provider's own; empty for that.
    allow_http : bool
        Whether the endpoint may be reached without TLS: on a network that nobody else is on.
    root_certificate : Path or None
        PEM file with certificates of authorities that are trusted beside the system's.
    proxy : str
        URL of an HTTP proxy.
    connect_timeout, request_timeout : float
        Seconds for a connection, and for one request with its body.
    deadline : float
        Seconds for one operation with all its attempts; for a large object, for each part.
    part_size : int
        Bytes. Larger objects are uploaded in parts of this size, of which up to four are in
        memory.
    large_uploads : int
        Objects that are uploaded in parts at once; others wait.
    spool : StoreName or None
        A store of the type ``filesystem``, in its default layout, that acknowledges objects, which
        are uploaded later. For one node: others see what is uploaded.
    spool_copy : StoreName or None
        Another such store, whose folder is on another machine: what is in the spool is there as
        well before it is acknowledged. None for none.
    spool_size : int
        Bytes in the spool from which on nothing is taken before some was uploaded.
    spool_grace : float
        Seconds that an object stays in the spool after its upload.
    cache_size : int
        Bytes of what was read that are kept on a local disk, about; 0 for none.
    cache : Path or None
        Directory for that; None for ``cache`` in the store's own directory.
    temporary : Path or None
        Directory for objects on their way into the bucket that exceed a mebibyte; None for
        ``tmp`` in the store's own directory.
    """

    prefix: str = field(default="", validator=_valid_prefix)
    spread: int = field(default=3, validator=[validators.ge(0), validators.le(8)])
    endpoint: str = field(default="", validator=_encrypted)
    allow_http: bool = False
    root_certificate: Path | None = None
    proxy: str = ""
    connect_timeout: float = field(default=5.0, validator=validators.gt(0))
    request_timeout: float = field(default=30.0, validator=validators.gt(0))
    deadline: float = field(default=60.0, validator=[validators.gt(0), validators.le(240)])
    part_size: int = field(
        default=8 * MEBIBYTE, validator=[validators.ge(5 * MEBIBYTE), validators.le(64 * MEBIBYTE)]
    )
    large_uploads: int = field(default=4, validator=validators.ge(1))
    spool: StoreName | None = None
    spool_copy: StoreName | None = None
    spool_size: int = field(default=20 * 1024 * MEBIBYTE, validator=validators.ge(1))
    spool_grace: float = field(default=10.0, validator=validators.ge(0))
    cache_size: int = field(default=0, validator=validators.ge(0))
    cache: Path | None = None
    temporary: Path | None = None


@frozen(kw_only=True)
class S3Config(CloudConfig):
    """A bucket of Amazon S3, or of a service that speaks its protocol.

    Attributes
    ----------
    bucket : str
        Its name.
    region : str
        Where it is.
    virtual_hosted : bool
        Whether the bucket is part of the endpoint's host name.
    access_key_id, secret_access_key, session_token : Secret or None
        None to take what the environment (``AWS_ACCESS_KEY_ID`` ...), a web identity, the container
        or the instance's role offers.
    encryption : ``""``, ``"AES256"``, ``"aws:kms"``, ``"aws:kms:dsse"`` or ``"sse-c"``
        On the server, for new objects. Empty for what the bucket says.
    kms_key : str
        ARN or ID of the key of ``"aws:kms"`` and ``"aws:kms:dsse"``; empty for the account's.
    customer_key : Secret or None
        256 bits in base64, which ``"sse-c"`` needs: nobody reads the objects without it.
    checksum : ``"sha256"``, ``"crc64nvme"`` or ``"none"``
        What the server verifies what it receives by; ``"none"`` for services that refuse it.
    """

    bucket: str = _named("bucket")
    region: str = "us-east-1"
    virtual_hosted: bool = False
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    encryption: Literal["", "AES256", "aws:kms", "aws:kms:dsse", "sse-c"] = ""
    kms_key: str = ""
    customer_key: Secret | None = None
    checksum: Literal["sha256", "crc64nvme", "none"] = "sha256"

    def __attrs_post_init__(self) -> None:
        """Refuse half a pair of credentials, and keys without the encryption that uses them."""
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key: give both, or none")
        if self.kms_key and not self.encryption.startswith("aws:kms"):
            raise ValueError('kms_key: set encryption = "aws:kms" or "aws:kms:dsse" as well')
        if (self.customer_key is not None) != (self.encryption == "sse-c"):
            raise ValueError('customer_key and encryption = "sse-c": give both, or none')


@frozen(kw_only=True)
class AzureConfig(CloudConfig):
    """A container of Azure Blob Storage.

    Attributes
    ----------
    container : str
        Its name.
    account : str
        The storage account's name.
    account_key, sas_token : Secret or None
        None to take what the environment (``AZURE_STORAGE_ACCOUNT_KEY`` ...), a workload identity
        or the managed identity of the machine offers.
    tenant_id, client_id : str
    client_secret : Secret or None
        Of a service principal.
    customer_key : Secret or None
        256 bits in base64 by which the service encrypts: nobody reads the objects without it.
    """

    container: str = _named("container")
    account: str = _named("account")
    account_key: Secret | None = None
    sas_token: Secret | None = None
    tenant_id: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    customer_key: Secret | None = None


@frozen(kw_only=True)
class GcsConfig(CloudConfig):
    """A bucket of Google Cloud Storage. New objects are encrypted as the bucket says.

    Attributes
    ----------
    bucket : str
        Its name.
    credentials : Path or None
        JSON file of a service account; None to take what ``GOOGLE_APPLICATION_CREDENTIALS`` or the
        machine's service account offers.
    service_account_key : Secret or None
        The same JSON as a secret.
    """

    bucket: str = _named("bucket")
    credentials: Path | None = None
    service_account_key: Secret | None = None
