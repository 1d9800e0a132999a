"""Keys are found in rattler's store as rattler finds them, and a broken store is told without its content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import BadConfig
from indexer.settings import credentials as auth
from indexer.settings.credentials import CredentialMatch, CredentialsFile, Keys, find, lookups
from indexer.settings.locations import Environment

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary"


def entry(key_id: str, token: str | None = None) -> dict[str, object]:
    """An entry as `pixi auth login` writes it."""
    return {"S3Credentials": {"access_key_id": key_id, "secret_access_key": CANARY, "session_token": token}}


def written(path: Path, entries: object) -> CredentialsFile:
    path.write_text(json.dumps(entries))
    return CredentialsFile(path)


def found(channel: str, *places: auth.Backend) -> str | None:
    hit = find(channel, places)
    return hit.keys.access_key_id if hit else None


def test_the_bucket_is_looked_up_first_then_the_url_then_what_is_above_it() -> None:
    keys = ["reeds", "s3://reeds/a/b", "s3://reeds/a", "s3://reeds", "s3:/", "s3:"]
    assert list(lookups("s3://reeds/a/b")) == keys
    assert list(lookups("s3://reeds/a/b/")) == keys
    assert list(lookups("s3://reeds")) == ["reeds", "s3://reeds", "s3:/", "s3:"]


def test_the_entry_of_a_bucket_wins_over_one_of_a_path_in_it(tmp_path: Path) -> None:
    store = written(tmp_path / "keys", {"s3://reeds/a": entry("path"), "reeds": entry("bucket"), "s3:": entry("all")})
    assert found("s3://reeds/a", store) == "bucket"
    assert found("s3://marsh/a", store) == "all"


def test_a_path_has_its_own_keys_where_the_bucket_has_none(tmp_path: Path) -> None:
    store = written(tmp_path / "keys", {"s3://reeds/a": entry("a"), "s3://reeds/b": entry("b")})
    assert (found("s3://reeds/a/deep", store), found("s3://reeds/b", store), found("s3://reeds/ab", store)) == (
        "a",
        "b",
        None,
    )


def test_a_key_is_looked_for_in_all_places_before_the_next_key(tmp_path: Path) -> None:
    strong = written(tmp_path / "strong", {"s3://reeds/a": entry("strong")})
    weak = written(tmp_path / "weak", {"reeds": entry("weak")})
    assert found("s3://reeds/a", strong, weak) == "weak"
    assert found("s3://reeds/a", written(tmp_path / "stronger", {"reeds": entry("first")}), weak) == "first"


def test_a_match_has_the_keys_and_their_place(tmp_path: Path) -> None:
    store = written(tmp_path / "keys", {"s3://reeds": entry("some-id", "some-token")})
    assert find("s3://reeds/a", [store]) == CredentialMatch(Keys("some-id", CANARY, "some-token"), "s3://reeds", store)
    assert str(store) == str(tmp_path / "keys")


def test_keys_do_not_show_what_is_secret() -> None:
    assert CANARY not in repr(Keys("some-id", CANARY, CANARY))


def test_a_file_that_is_not_there_is_empty_and_says_so(tmp_path: Path) -> None:
    store = CredentialsFile(tmp_path / "keys")
    assert find("s3://reeds", [store]) is None
    assert str(store) == f"{tmp_path}/keys (does not exist)"


def test_entries_of_other_kinds_are_ignored_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = written(tmp_path / "keys", {"reeds": {"BearerToken": CANARY}, "s3://reeds": entry("some-id"), "x": 7})
    assert found("s3://reeds/a", store) == "some-id"
    assert caplog.messages == [f"{tmp_path}/keys: the entry of reeds is ignored: a BearerToken cannot open a bucket"]


BROKEN = {
    "no JSON": f'{{"reeds": {CANARY}',
    "no object": f'["{CANARY}"]',
    "no UTF-8": f"\udcff{CANARY}",
    "an entry that is a text": f'{{"reeds": "{CANARY}"}}',
    "an entry without a secret": f'{{"reeds": {{"S3Credentials": {{"access_key_id": "{CANARY}"}}}}}}',
    "an empty id": f'{{"reeds": {{"S3Credentials": {{"access_key_id": "", "secret_access_key": "{CANARY}"}}}}}}',
    "a secret that is a list": (
        f'{{"reeds": {{"S3Credentials": {{"access_key_id": "i", "secret_access_key": ["{CANARY}"]}}}}}}'
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_credentials_file_is_named_and_its_content_is_not(tmp_path: Path, kind: str) -> None:
    (tmp_path / "keys").write_text(BROKEN[kind], errors="surrogateescape")
    with pytest.raises(BadConfig) as caught:
        find("s3://reeds", [CredentialsFile(tmp_path / "keys")])
    assert caught.value.thing.startswith(str(tmp_path / "keys"))
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in str(error)
        error = error.__cause__


def test_a_store_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="name a file that can be read"):
        find("s3://reeds", [CredentialsFile(tmp_path)])


def test_the_places_are_those_of_pixi_in_its_order(tmp_path: Path) -> None:
    env = Environment({"RATTLER_AUTH_FILE": "mine.json"}, tmp_path, tmp_path / "home")
    names = [str(place).removesuffix(" (does not exist)") for place in auth.backends(env, tmp_path / "override.json")]
    assert names == [
        f"{tmp_path}/mine.json",
        f"{tmp_path}/override.json",
        "the keyring",
        f"{tmp_path}/home/.rattler/credentials.json",
    ]
    assert [str(place) for place in auth.backends(Environment({"RATTLER_AUTH_FILE": ""}, tmp_path, None), None)] == [
        "the keyring"
    ]


class FakeKeyring:
    """The two things that the library is asked for."""

    def __init__(self, entries: dict[tuple[str, str], str]) -> None:
        self.entries = entries

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))


class Locked:
    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError(CANARY)


def test_the_keyring_has_entries_of_the_service_rattler() -> None:
    ours, others = json.dumps(entry("some-id")), json.dumps(entry("other"))
    keyring = auth.Keyring(lambda: FakeKeyring({("rattler", "reeds"): ours, ("other", "s3://marsh"): others}))
    assert (found("s3://reeds/a", keyring), found("s3://marsh", keyring)) == ("some-id", None)


def test_a_keyring_that_is_locked_or_not_installed_has_no_entries(tmp_path: Path) -> None:
    store = written(tmp_path / "keys", {"reeds": entry("some-id")})

    def not_installed() -> object:
        raise ImportError

    for library, result in (
        (Locked, "the keyring"),
        (not_installed, "the keyring (to search it: pip install 'conda-channel-indexer[keyring]')"),
    ):
        keyring = auth.Keyring(library)
        assert found("s3://reeds", keyring, store) == "some-id"
        assert str(keyring) == result
