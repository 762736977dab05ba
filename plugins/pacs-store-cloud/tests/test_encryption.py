"""Encryption on the server, asked for by the store."""

from pathlib import Path

import boto3
import pytest

from pacs_core.testing.cloud_servers import BUCKET
from pacs_core.testing.object_store_harness import MEBIBYTE, get, identity, put

from .clouds import configure_s3, make_cloud_store

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("encryption", "key"), [("AES256", ""), ("aws:kms", "our-key")])
async def test_every_object_is_encrypted_as_configured(
    tmp_path: Path, s3_url: str, encryption: str, key: str
) -> None:
    config = configure_s3(
        s3_url, "encrypted", encryption=encryption, kms_key=key, part_size=5 * MEBIBYTE
    )
    store = make_cloud_store(config, tmp_path, spread=0)
    await store.start()
    contents = {1: b"small", 2: bytes(6 * MEBIBYTE)}
    stored = [await put(store, data, identity(number)) for number, data in contents.items()]
    client = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    for each, content in zip(stored, contents.values(), strict=True):
        told = client.head_object(Bucket=BUCKET, Key=f"encrypted/{each.key}")
        assert told["ServerSideEncryption"] == encryption
        assert told.get("SSEKMSKeyId", "").endswith(key)
        assert await get(store, each.key) == content
        await store.delete(each.key)
    client.close()
    await store.stop()
