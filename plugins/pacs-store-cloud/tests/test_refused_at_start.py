"""Nodes that do not start, because something is wrong with the bucket, and what they say."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core import set_initial_no_auth_action_count

from pacs_core.api.commands import main
from pacs_core.testing.cloud_servers import BUCKET
from pacs_core.testing.node import write_config

from .fault_proxy import Answer, Fault, run_fault_proxy

PERMISSION = "let the credentials read, write, delete and list objects (s3:GetObject, s3:PutObject"


def serve(directory: Path, url: str, identifier: str = "a", secret: str = "b", **keys: str) -> str:
    """Let a node start, which it must not; return what it says."""
    for name, value in (("id", identifier), ("secret", secret)):
        (directory / name).write_text(value)
    table = {
        "type": "s3", "bucket": BUCKET, "endpoint": url, "allow_http": True, "deadline": 10.0,
        "access_key_id": {"file": str(directory / "id")},
        "secret_access_key": {"file": str(directory / "secret")},
    }  # fmt: skip
    tables: dict[str, Any] = {
        "node": {"port": 0},
        "archive": {"store": "main", "space": {"reserve": 0}},
        "stores": {"main": table | keys},
    }
    config = write_config(directory / "node", tables)
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(["serve", "--config", str(config), "--log-level", "error"])
    assert code == 1, said.getvalue()
    (line,) = said.getvalue().splitlines()
    return line


def client(service: str, url: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1",
        aws_access_key_id="testing", aws_secret_access_key="testing",
    )  # fmt: skip


def test_a_bucket_that_is_not_there(tmp_path: Path, s3_url: str) -> None:
    said = serve(tmp_path, s3_url, bucket="nonesuch")
    assert "s3 nonesuch" in said
    assert "there is no such bucket: make it, or correct `bucket`" in said


@pytest.fixture(scope="module")
def guest(s3_url: str) -> Iterator[dict[str, str]]:
    """Make a user that may do nothing but look for objects."""
    iam = client("iam", s3_url)
    iam.create_user(UserName="guest")
    statement = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="guest", PolicyName="look", PolicyDocument=policy)
    yield iam.create_access_key(UserName="guest")["AccessKey"]
    iam.close()


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"identifier": "AKIAWRONG"}, "the access key is not known: correct the credentials"),
        ({"secret": "not-theirs"}, "the secret key is wrong: correct the credentials"),
        ({}, f"the credentials do not allow this: {PERMISSION}"),
    ],
)
def test_credentials(
    tmp_path: Path, s3_url: str, guest: dict[str, str], changes: dict[str, str], advice: str
) -> None:
    """A real server says so, which knows users and what they may do."""
    keys = {"identifier": guest["AccessKeyId"], "secret": guest["SecretAccessKey"]} | changes
    # From now on the server checks credentials, which it does not otherwise.
    said = set_initial_no_auth_action_count(0)(serve)(tmp_path, s3_url, **keys)
    assert f"s3 {BUCKET}" in said
    assert advice in said
    assert keys["secret"] not in said


def amazon(status: int, code: str, **elements: str) -> Answer:
    """Return an error as Amazon S3 puts it."""
    more = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    return status, f'<?xml version="1.0"?><Error><Code>{code}</Code>{more}</Error>'


NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(hours=2)
SKEWED = {
    "Message": "The difference between the request time and the current time is too large.",
    "RequestTime": BEFORE.strftime("%Y%m%dT%H%M%SZ"),
    "ServerTime": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "MaxAllowedSkewMilliseconds": "900000",
}
MALFORMED = (
    "The authorization header is malformed; the region 'us-east-1' is wrong; "
    "expecting 'eu-central-1'"
)


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (
            amazon(403, "RequestTimeTooSkewed", **SKEWED),
            "the clock of this machine is wrong by -7200 s: set this machine's clock by NTP",
        ),
        (
            amazon(400, "AuthorizationHeaderMalformed", Message=MALFORMED, Region="eu-central-1"),
            "the region is wrong: correct `region`, the service says 'eu-central-1'",
        ),
        (
            amazon(301, "PermanentRedirect", Endpoint="archive.s3-eu-west-1.amazonaws.com"),
            "the region is wrong: correct `region`",
        ),
    ],
)
def test_the_clock_and_the_region(tmp_path: Path, s3_url: str, answer: Answer, advice: str) -> None:
    """What Amazon answers; servers for tests do not look at either."""
    with run_fault_proxy(s3_url) as proxy:
        proxy.always = lambda method, path: Fault(answer=answer)
        said = serve(tmp_path, proxy.url)
    assert advice in said
