"""Nodes that do not start, because something is wrong with the bucket, and what they say."""

import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import boto3
import httpx
import pytest

from pacs_core.api.commands import main
from pacs_core.testing.cloud_servers import BUCKET
from pacs_core.testing.node import write_config

from .fault_proxy import Answer, Fault, run_fault_proxy

PERMISSION = "let the credentials read, write, delete and list objects (s3:GetObject, s3:PutObject"

LOOK = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
        ],
    }
)
"""Permission to look for objects, and nothing else."""


def serve(directory: Path, url: str, identifier: str = "a", secret: str = "b", **keys: str) -> str:
    """Let a node start, which it must not; return what it says.

    Without an identifier it has to find its credentials.
    """
    for name, value in (("id", identifier), ("secret", secret)):
        (directory / name).write_text(value)
    table: dict[str, Any] = {
        "type": "s3", "bucket": BUCKET, "endpoint": url, "allow_http": True, "deadline": 10.0,
    }  # fmt: skip
    if identifier:
        table["access_key_id"] = {"file": str(directory / "id")}
        table["secret_access_key"] = {"file": str(directory / "secret")}
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
    name = f"guest-{uuid4().hex}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="look", PolicyDocument=LOOK)
    yield iam.create_access_key(UserName=name)["AccessKey"]
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
    with permissions_hold(s3_url):
        said = serve(tmp_path, s3_url, **keys)
    assert f"s3 {BUCKET}" in said
    assert advice in said
    assert keys["secret"] not in said


@contextmanager
def permissions_hold(url: str) -> Iterator[None]:
    """Let the server look at permissions, which it does not by itself."""
    let_pass = partial(httpx.post, f"{url}/moto-api/reset-auth")
    let_pass(content="0").raise_for_status()
    try:
        yield
    finally:
        let_pass(content="inf").raise_for_status()


def assume_role(url: str) -> dict[str, str]:
    """Return credentials of a role that may do as little."""
    iam, name = client("iam", url), f"pacs-{uuid4().hex}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.put_role_policy(RoleName=name, PolicyName="look", PolicyDocument=LOOK)
    sts = client("sts", url)
    role = f"arn:aws:iam::123456789012:role/{name}"
    found = sts.assume_role(RoleArn=role, RoleSessionName="machine")["Credentials"]
    return {key: found[key] for key in ("AccessKeyId", "SecretAccessKey", "SessionToken")}


class RoleOfAnInstance(BaseHTTPRequestHandler):
    """The metadata service of a machine (IMDSv2): a token, the name of its role, credentials."""

    given: ClassVar[dict[str, str]] = {}

    def do_PUT(self) -> None:
        self.answer("a-token")

    def do_GET(self) -> None:
        assert self.headers["X-aws-ec2-metadata-token"] == "a-token"
        end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        credentials = {**self.given, "Code": "Success", "Expiration": end,
                       "LastUpdated": end, "Type": "AWS-HMAC"}  # fmt: skip
        is_role = self.path.endswith("/security-credentials/")
        self.answer("pacs-role" if is_role else json.dumps(credentials))

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.mark.parametrize("where", ["environment", "role"])
def test_credentials_are_found_in_the_environment_or_by_the_role_of_the_machine(
    tmp_path: Path,
    s3_url: str,
    guest: dict[str, str],
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that knows who they are of says what that user may not do."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    role = assume_role(s3_url)
    RoleOfAnInstance.given = {**role, "Token": role["SessionToken"]}
    with ThreadingHTTPServer(("127.0.0.1", 0), RoleOfAnInstance) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        if where == "role":
            monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{service.server_port}")
        else:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", guest["AccessKeyId"])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", guest["SecretAccessKey"])
        with permissions_hold(s3_url):
            said = serve(tmp_path, s3_url, identifier="")
        service.shutdown()
    assert f"the credentials do not allow this: {PERMISSION}" in said


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
