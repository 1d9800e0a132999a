"""Inputs by reader, from which a fuzzer starts and which the quick suite replays: plain, odd, or once harmful."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import msgspec

from tests.support.archives import END, Entry, bz2_of, conda, header, index_json, member, pax, zipped, zst
from tests.support.listing_pages import PAGE_END

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEY = "linux-64/reed-1.0-0.conda"
_DEEP = 5000
_RECORD: dict[str, Any] = {
    "name": "reed",
    "version": "1.0",
    "build": "0",
    "build_number": 0,
    "depends": ["python >=3.8,<4|5.* h_0", '_x[when="a"]'],
    "md5": "b" * 32,
    "sha256": "a" * 64,
    "size": 1,
    "subdir": "linux-64",
    "indexed_timestamp": 1,
    "run_exports": {"weak": ["reed"]},
}
_IN_MSGPACK = {**_RECORD, "md5": bytes(16), "sha256": bytes(32)}
_INDEX = index_json(_KEY, repodata_revision=3, timestamp=1, noarch="python", extra_depends={"e": ["x"]}, flags=["a:b"])
_TAR = member("info/index.json", index_json(_KEY))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _repodata(**top: object) -> bytes:
    return _json(
        {"info": {"subdir": "linux-64"}, "packages": {}, "packages.conda": {"reed-1.0-0.conda": _RECORD}, **top}
    )


def _msgpack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def _object(key: str = "a", size: str = "1", etag: str = "&quot;0&quot;", time: str = "2026-11-22T12:00:00Z") -> str:
    result = f"<LastModified>{time}</LastModified><ETag>{etag}</ETag><Size>{size}</Size>"
    return f"<Contents><Key>ch/noarch/{key}-1-0.conda</Key>{result}</Contents>"


def _page(*objects: str, more: str = "false", token: str = "", rest: str = "") -> bytes:
    result = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<R><IsTruncated>{more}</IsTruncated>{result}{rest}{''.join(objects)}</R>".encode()


_FOLDER = "<CommonPrefixes><Prefix>ch/noarch/shards/</Prefix></CommonPrefixes>"
_ENTITIES = "".join(f'<!ENTITY {to} "{f"&{of};" * 10}">' for of, to in itertools.pairwise("abcdefghi"))

SEEDS: Mapping[str, Sequence[bytes]] = {
    "zip": [
        conda("reed-1.0-0", zst(_TAR + END)),
        conda("reed-1.0-0", zst(_TAR + END), zip64=True),
        zipped(Entry("info-a.tar.zst", b"", method=8)),
        zipped(Entry("info-a.tar.zst", b"PK\1\2\x14\0\x14\0", method=8)),
        zipped(Entry("info-a.tar.zst", b"x", flags=1)),
        b"PK\5\6" + bytes(18),
    ],
    "tar": [
        _TAR + member("info/run_exports.json", b"{}") + END,
        pax({"path": "info/index.json", "size": "2"}) + member("x", b"{}") + END,
        pax({"GNU.sparse.map": "1,2"}) + _TAR,
        header("info/index.json", 9),
    ],
    "bz2": [bz2_of((_TAR + END, 1)), bz2_of((_TAR, 1), (END, 1)), b"BZh9"],
    "index_json": [
        _INDEX,
        index_json(_KEY, name="\ud800"),
        index_json(_KEY, depends=["\ud800"], timestamp=1e300, build_number=2**63),
        index_json(_KEY, license=2**70, track_features=["a"], features="", purls=["pkg:a/b"]),
        b'{"name":1e999,"version":NaN}',
        b"[" * _DEEP,
        b'{"a":' * _DEEP,
    ],
    "run_exports_json": [
        _json({"weak": ["a"], "strong": None}),
        b"[1]",
        b'["a"]',
        b'{"weak":["\\ud800"]}',
        b"[" * _DEEP,
    ],
    "repodata": [
        _repodata(),
        _repodata(removed=["reed-0.9-0.conda", "../x-1-0.conda", "x.conda"]),
        _repodata(v3={"conda": {"reed-1.0-1": _RECORD}, "whl": {"a": {"name": "a"}}}, repodata_version=2),
        _repodata(info={"repodata_revisions": {"v3": {"message": "m"}}, "created_at": 1}),
        _repodata(packages={"x.tar.bz2": {"name": "x"}, "a-b": _RECORD}),
        _repodata(packages={"reed-1.0-0.tar.bz2": []}),
        _repodata(packages={"reed-1.0-0.tar.bz2": {"name": "\ud800"}}),
        b'{"packages":{"a-1-0.tar.bz2":{"name":"a"},"a-1-0.tar.bz2":{"name":"b"}}}',
        b'{"packages":' + b"[" * _DEEP,
        b'{"packages":{"a-1-0.tar.bz2":{"name":"a","x":' + b"[" * _DEEP + b"]" * _DEEP + b"}}}",
        b'{"packages":{"a-1-0.tar.bz2":{"name":"a","size":1e999,"md5":"zz","n":' + b"9" * 400 + b"}}}",
    ],
    "run_exports": [
        _json({"packages": {"a-1-0.tar.bz2": {"run_exports": {"weak": ["a"]}}}, "packages.conda": {"x": {}}}),
        b'{"packages":{"a":{"run_exports":' + b"[" * _DEEP + b"]" * _DEEP + b"}}}",
        b'{"packages":{"a":[]}}',
    ],
    "shard": [
        _msgpack({"packages": {1: _IN_MSGPACK}}),
        _msgpack({"v3": {1.5: {"a": {"name": "a"}}, "whl": {2: {"name": "a"}}}}),
        _msgpack({"v3": {1.5: {"a": {"name": "a"}}}}),
        _msgpack(
            {"packages": {}, "packages.conda": {"reed-1.0-0.conda": _IN_MSGPACK}, "removed": ["reed-0.9-0.conda"]}
        ),
        _msgpack({"v3": {"conda": {"reed-1.0-1": _IN_MSGPACK}, "whl": {"a": {"name": "a"}}}}),
        _msgpack({"packages": {"a-1-0.tar.bz2": {"name": b"a"}}, "removed": [1]}),
        b"\x81\xa8packages\x81\xa1a" + b"\x91" * _DEEP + b"\x90",
    ],
    "shard_index": [
        _msgpack({"version": 1, "info": {"shards_base_url": "./shards/"}, "shards": {"reed": bytes(32)}}),
        _msgpack({"info": {"shards_base_url": 7, 1: 2}, "shards": {"reed": b"", "../x": bytes(32)}}),
        b"\x81\xa6shards" + b"\x91" * _DEEP,
    ],
    "ledger": [
        _json({"format": 2, "files": {"repodata.json": {"etag": "v", "digest": "d"}}, "package_etags": {"a": "v"}}),
        _json({"rejected": {"a-1-0.conda": {"version": "v", "reason": "r"}}, "packages": -1}),
        b'{"x":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    ],
    "listing": [
        b"a-1-0.conda\0a-1-0.conda/\0A-1-0.conda\0short.conda\0x.whl\0-.conda\0--.conda\0...tar.bz2",
        "e\u0301-1-0.conda\0\u00e9-1-0.conda\0a\n-1-0.conda\0../x-1-0.conda\0\u202ea-1-0.conda".encode(),
        b"\xff-1-0.conda\0" + b"x" * 1024,
    ],
    "pages": [
        _page(_object(), _object("b"), rest=_FOLDER),
        PAGE_END.join([_page(_object(), more="true", token="t"), _page(_object("b"), _object("c"))]),
        PAGE_END.join([_page(_object(), more="true", rest=_FOLDER), _page(_object("b"), more="true"), _page()]),
        PAGE_END.join([_page(_object(), more="True", token="t"), _page(_object("b"))]),
        PAGE_END.join([_page(_object(), more="true", token=token) for token in "ABABA"]),
        _page(_object(), more="true", token="t"),
        _page(_object(), more="maybe", token="t"),
        _page(_object(), more="true", token="a", rest="<NextContinuationToken>b</NextContinuationToken>"),
        _page(_object("b"), _object(), _object("b", size="2")),
        *(_page(_object(size=size)) for size in ("many", "-1", "1_0", "1.5", "", "9" * 400)),
        *(_page(_object(time=time)) for time in ("tomorrow", "1e999", "9" * 17, "22 Nov 99999999999 1:0:0 GMT")),
        *(_page(_object(etag=etag)) for etag in ("", "a&#10;b", "\u00e9", "W/&quot;a&quot;")),
        _page(_object("../../other/x")),
        _page(_object(), rest="<CommonPrefixes><Prefix>other/</Prefix></CommonPrefixes>"),
        _page(
            _object(),
            rest="<CommonPrefixes><Prefix>ch/noarch/a/</Prefix><Prefix>ch/noarch/b/</Prefix></CommonPrefixes>",
        ),
        _page(_object(), rest="<CommonPrefixes/><Contents/>"),
        _page(_object("a%2Bb%FF%"), rest="<EncodingType>url</EncodingType>"),
        f'<!DOCTYPE R [<!ENTITY a "{"x" * 100}">{_ENTITIES}]>'.encode() + _page(_object("&h;")),
        b'<!DOCTYPE R [<!ENTITY a SYSTEM "file:///etc/hosts">]>' + _page(_object("&a;")),
        b"<?xml version='1.0' encoding='nonsense'?>" + _page(_object()),
        _page(_object(), _object("b"))[:-40],
        _page(*(_object(str(number)) for number in range(400))),
        b"<R>" + b"<a>" * _DEEP + b"</a>" * _DEEP + _page(_object())[3:],
        b"<html><body>Sign in</body></html>",
        b"<Error><Code>InternalError</Code><Message>\xe2\x80\xae\n</Message></Error>",
    ],
    "spec": [
        b"d 1.2.* h_0",
        b"d >=1,<2|3[build=x]",
        b"a" + b" =" * 500 + b"(",
        b"a" + b" " * 300 + b"x" + b" " * 300 + b"x" + b" " * 300 + b"(",
        b"a =" + b"=" * 900 + b"(",
        b"a" + b" 1 , " * 200 + b"(",
    ],
}
