"""What works for reading with pixi works for indexing: the same files, in a process of its own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.bucket import REGION
from tests.support.channels import FEW, lay_up, objects, repodata
from tests.support.command import Ran, invoke, spawn
from tests.support.http_servers import Server, an_empty_bucket, answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.bucket import Bucket

SECRET = "canary-of-forty-letters-as-secrets-have"


@pytest.fixture
def home() -> Path:
    """The folder of a user with nothing in it."""
    return Path(os.environ["HOME"])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def table(bucket: Bucket, name: str = "s3-options") -> str:
    """The options of a bucket as pixi's page on S3 has them."""
    return (
        f'[{name}.{bucket.bucket}]\nendpoint-url = "{bucket.endpoint}"\nregion = "{REGION}"\nforce-path-style = true\n'
    )


def log_in(path: Path, key: str) -> Path:
    """What `pixi auth login` leaves for a bucket."""
    keys = {"access_key_id": "some-key", "secret_access_key": SECRET, "session_token": None}
    return write(path, json.dumps({key: {"S3Credentials": keys}}))


def indexed(bucket: Bucket, done: Ran) -> bool:
    assert (done.code, done.err) == (0, ""), done.err
    assert SECRET not in done.out
    return "noarch/repodata.json" in objects(bucket, "ch")


def test_the_files_of_a_user_who_logged_in_are_enough(bucket: Bucket, home: Path) -> None:
    url = lay_up(bucket, "ch", FEW)
    write(home / ".config" / "pixi" / "config.toml", table(bucket))
    log_in(home / ".rattler" / "credentials.json", bucket.bucket)
    assert indexed(bucket, invoke("s3", url, "--no-progress"))


def test_the_manifest_of_a_workspace_above_the_working_folder_is_enough(bucket: Bucket, tmp_path: Path) -> None:
    url = lay_up(bucket, "ch", FEW)
    write(tmp_path / "pixi.toml", f'[workspace]\nchannels = ["{url}"]\n{table(bucket, "workspace.s3-options")}')
    (tmp_path / "deep" / "down").mkdir(parents=True)
    keys = log_in(tmp_path / "keys.json", f"s3://{bucket.bucket}")
    env = {"RATTLER_AUTH_FILE": str(keys)}
    assert indexed(bucket, invoke("s3", url, env=env, folder=tmp_path / "deep" / "down"))


def test_options_of_a_file_and_keys_of_aws_may_be_mixed(bucket: Bucket, tmp_path: Path) -> None:
    url = lay_up(bucket, "ch", FEW)
    config = write(tmp_path / "mine.toml", table(bucket))
    env = {"AWS_ACCESS_KEY_ID": "aws-key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": ""}
    assert indexed(bucket, invoke("s3", url, "--config", config, env=env))


KEYRING = """
import json
from keyring.backend import KeyringBackend

class Ring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        keys = {"access_key_id": "some-key", "secret_access_key": "%s"}
        return json.dumps({"S3Credentials": keys}) if (service, username) == ("rattler", "s3://some-bucket") else None

    def set_password(self, service, username, password): ...
    def delete_password(self, service, username): ...
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """An empty bucket of any name."""
    with answering(an_empty_bucket) as served:
        yield served


def signer(server: Server) -> tuple[str, str]:
    """The key that the first request was signed with, and the region it was signed for."""
    match = re.search(r"Credential=([^/]+)/\d+/([^/]+)/s3/", server.requests[0].headers["authorization"])
    assert match
    return match[1], match[2]


def test_keys_may_lie_in_the_keyring(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "ring.py", KEYRING % SECRET)
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}", "PYTHON_KEYRING_BACKEND": "ring.Ring"}
    done = spawn("status", "s3://some-bucket/ch", "--endpoint-url", server.url, "-vv", env=env)
    assert done.code == 0, done.err
    assert signer(server) == ("some-key", "us-east-1")
    assert SECRET not in done.err


@pytest.mark.parametrize(
    ("env", "region"),
    [
        ({"AWS_REGION": "eu-1"}, "eu-1"),
        ({"AWS_DEFAULT_REGION": "eu-2"}, "eu-2"),
        ({"AWS_REGION": "eu-1", "AWS_DEFAULT_REGION": "eu-2"}, "eu-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-2"}, "eu-2"),
        ({"AWS_REGION": "eu-1", "S3_REGION": "eu-3"}, "eu-3"),
    ],
)
def test_the_region_may_come_from_either_variable_of_aws(server: Server, env: dict[str, str], region: str) -> None:
    env = {"S3_ACCESS_KEY_ID": "k", "S3_SECRET_ACCESS_KEY": SECRET, **env}
    assert invoke("status", "s3://some-bucket", "--endpoint-url", server.url, env=env).code == 0
    assert signer(server) == ("k", region)


SSO = """
[default]
sso_session = work
sso_account_id = 123456789012
sso_role_name = Power
[sso-session work]
sso_start_url = https://work.example/start
sso_region = eu-central-1
"""


def test_without_keys_for_another_store_the_error_lists_searched_places(server: Server, home: Path) -> None:
    write(home / "aws-config", SSO)
    done = invoke("s3", "s3://some-bucket/ch", env={"S3_ENDPOINT_URL": server.url, "RATTLER_AUTH_FILE": "/no/keys"})
    assert done.code == 1
    assert done.error == (
        f"error: s3://some-bucket/ch: there are no credentials for {server.url} in any of: the options, S3_*, "
        f"/no/keys (does not exist), the keyring, {home}/.rattler/credentials.json (does not exist), "
        "AWS_* and profile default of AWS; run `pixi auth login s3://some-bucket`, "
        "set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or use a --profile or --no-sign-request"
    )
    assert server.requests == []


def test_the_next_step_without_an_aws_session_is_a_login(home: Path) -> None:
    write(home / "aws-config", SSO)
    done = invoke("s3", "s3://some-bucket/ch", env={"AWS_REGION": "eu-central-1"})
    assert done.code == 1
    assert done.error.endswith("; run `aws sso login --profile default`")


def test_the_error_of_a_broken_credentials_file_hides_its_content(server: Server, home: Path) -> None:
    path = write(home / ".rattler" / "credentials.json", f'{{"some-bucket": "{SECRET}')
    done = invoke("s3", "s3://some-bucket", "--endpoint-url", server.url, "-vv")
    assert done.code == 2
    assert f"error: {path}: is not valid JSON" in done.err
    assert SECRET not in done.err


def test_an_unknown_key_stops_every_command_and_names_the_nearest(channel: Path, tmp_path: Path) -> None:
    config = write(tmp_path / "mine.toml", "[index-config]\nwrite-zstd = true\n")
    for words in (["fs", channel], ["status", channel], ["s3", "s3://some-bucket"]):
        done = invoke(*words, "--config", config)
        assert done.code == 2
        assert done.error == f"error: {config} [index-config] write-zstd: unknown key; use write-zst"


def test_a_files_table_for_a_folder_counts_unless_an_option_wins(channel: Path, tmp_path: Path) -> None:
    text = f'[concurrency]\ndownloads = 2\n[index-config."{channel}"]\nwrite-zst = false\nwrite-shards = false\n'
    config = write(tmp_path / "mine.toml", text)
    assert invoke("fs", channel, "--config", config, "--shards").code == 0
    written = {path.name for path in (channel / "noarch").iterdir()}
    assert "repodata.json.zst" not in written
    assert "repodata_shards.msgpack.zst" in written


@pytest.mark.parametrize(
    ("words", "expected", "warned"),
    [
        ([], "https://cdn.example/ch/", True),
        (["--base-url-verbatim"], "https://cdn.example/ch/", False),
        (["--no-base-url-verbatim"], "https://cdn.example/ch/noarch/", False),
        (["--base-url", "https://other.example"], "https://other.example/noarch/", False),
    ],
)
def test_the_base_url_of_a_file_is_never_published_silently(
    channel: Path, tmp_path: Path, words: list[str], expected: str, *, warned: bool
) -> None:
    config = write(tmp_path / "mine.toml", '[index-config]\nbase-url = "https://cdn.example/ch/"\n')
    done = invoke("fs", channel, "--config", config, "--no-progress", "--json", *words)
    assert done.code == 0
    assert ("base-url is written unchanged" in done.err) is warned
    assert repodata(channel, "noarch")["info"]["base_url"] == expected


SAYING = """
[index-config]
package-revision-assignment = "latest"
repodata-revisions = [{ revision = "v3", message = "Update your client" }]
virtual-package-detectors = { cuda-detect = ["__cuda"] }
[index-config.channel-relations]
base = "../conda-forge"
[[index-config.notices]]
id = "n1"
message = "Moving house"
level = "info"
created_at = 2026-01-01T00:00:00Z
expires_at = 2027-01-01T01:00:00+01:00
"""


def test_settings_of_the_channel_in_a_file_are_published(channel: Path, tmp_path: Path) -> None:
    config = write(tmp_path / "mine.toml", SAYING)
    done = invoke("fs", channel, "--config", config)
    assert done.code == 0
    info = repodata(channel, "noarch")["info"]
    assert info["channel_relations"] == {"base": "../conda-forge"}
    assert info["virtual_package_detectors"] == {"cuda-detect": ["__cuda"]}
    assert info["repodata_revisions"]["v3"]["message"] == "Update your client"
    assert json.loads((channel / "notices.json").read_bytes()) == {
        "notices": [
            {
                "id": "n1",
                "message": "Moving house",
                "level": "info",
                "created_at": "2026-01-01T00:00:00Z",
                "expires_at": "2027-01-01T00:00:00Z",
            }
        ]
    }
    row = next(line.split() for line in done.out.splitlines() if line.startswith("  channel "))
    assert row == ["channel", "wrote", "1", "file"], "notices count no names"


def test_a_missing_configuration_file_is_an_error(channel: Path) -> None:
    done = invoke("fs", channel, "--config", "nobodys.toml")
    assert (done.code, done.error) == (
        2,
        "error: nobodys.toml: No such file or directory; name a TOML file that can be read",
    )
