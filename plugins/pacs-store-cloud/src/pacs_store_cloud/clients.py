"""Clients of the services, made of configuration."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from pacs_core.contracts import Secret
from pacs_store_cloud.config import AzureConfig, CloudConfig, GcsConfig, S3Config

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

    Client = S3Store | AzureStore | GCSStore

_RETRIES: Final = 3
"""How often the library itself tries a request again: a part of a large object, above all."""


@frozen
class Clients:
    """The two clients of a bucket.

    Attributes
    ----------
    patient : Client
        Tries requests again by itself.
    plain : Client
        Does each request once: what it reports is what became of that one.
    """

    patient: "Client"
    plain: "Client"


def make_clients(config: CloudConfig) -> Clients:
    """Make the clients of a bucket; nothing is connected.

    Raises
    ------
    LookupError
        A secret is not there.
    ValueError
        The library refuses a setting.
    """
    from obstore.exceptions import BaseError

    try:
        return Clients(_make(config, _RETRIES), _make(config, 0))
    except BaseError as error:
        raise ValueError(str(error).split("\n", 1)[0]) from error


def _make(config: CloudConfig, retries: int) -> "Client":
    from obstore.store import AzureStore, GCSStore, S3Store

    options: dict[str, Any] = {
        "client_options": _client_options(config),
        "retry_config": {
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=config.deadline),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=2),
                "base": 2,
            },
        },
    }
    match config:
        case S3Config():
            return S3Store(**_set(_s3(config)), **options)
        case AzureConfig():
            return AzureStore(**_set(_azure(config)), **options)
        case GcsConfig():
            return GCSStore(**_set(_gcs(config)), **options)
        case _:
            raise TypeError(f"no service has the configuration {type(config).__name__}")


def _client_options(config: CloudConfig) -> dict[str, Any]:
    certificate = config.root_certificate and config.root_certificate.read_bytes()
    return _set(
        {
            "allow_http": config.allow_http or None,
            "connect_timeout": timedelta(seconds=config.connect_timeout),
            "timeout": timedelta(seconds=config.request_timeout),
            "read_timeout": timedelta(seconds=config.request_timeout),
            "pool_idle_timeout": timedelta(seconds=30),
            "default_content_type": "application/dicom",
            "proxy_url": config.proxy,
            "root_certificate": certificate,
        }
    )


def _s3(config: S3Config) -> dict[str, Any]:
    return {
        "bucket": config.bucket,
        "region": config.region,
        "endpoint": config.endpoint,
        "virtual_hosted_style_request": config.virtual_hosted or None,
        "access_key_id": _reveal(config.access_key_id),
        "secret_access_key": _reveal(config.secret_access_key),
        "session_token": _reveal(config.session_token),
        "server_side_encryption": config.encryption,
        "sse_kms_key_id": config.kms_key,
        "sse_customer_key_base64": _reveal(config.customer_key),
        "checksum_algorithm": None if config.checksum == "none" else config.checksum,
        # Copies an object in a multipart upload that is completed only if the name is free.
        "copy_if_not_exists": "multipart",
        "conditional_put": "etag",
        # Not every service has the other.
        "disable_bulk_delete": True,
    }


def _azure(config: AzureConfig) -> dict[str, Any]:
    return {
        "container_name": config.container,
        "account_name": config.account,
        "account_key": _reveal(config.account_key),
        "sas_key": _reveal(config.sas_token),
        "tenant_id": config.tenant_id,
        "client_id": config.client_id,
        "client_secret": _reveal(config.client_secret),
        "encryption_key": _reveal(config.customer_key),
        "endpoint": config.endpoint,
    }


def _gcs(config: GcsConfig) -> dict[str, Any]:
    return {
        "bucket": config.bucket,
        "service_account": str(config.credentials) if config.credentials else None,
        "service_account_key": _reveal(config.service_account_key),
        "base_url": config.endpoint,
    }


def _reveal(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _set(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not set: the library takes None and "" for values."""
    return {name: value for name, value in options.items() if value not in (None, "")}
