"""The step of the GitHub Action: runs indexer, and makes outputs, a summary and annotations from its report."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.core.printable import one_line
from indexer.core.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COUNTED = ("added", "updated", "removed", "rejected")
# A summary may have 1 MiB.
_SHOWN = 100
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ]")


def main() -> None:
    """Run indexer on the inputs of the action, and exit with its code."""
    channel, scratch = os.environ["CHANNEL"], Path(os.environ["RUNNER_TEMP"])
    file = scratch / f"indexer-report-{uuid.uuid4().hex}.json"
    try:
        args = shlex.split(os.environ["ARGS"])
    except ValueError as problem:
        report: dict[str, Any] = {"schema_version": 1, "error": f"args: {problem}; close each quote", "exit_code": 2}
        file.write_text(json.dumps(report), encoding="utf-8")
        code = 2
    else:
        code = _run(scratch, channel, args, file)
        report = _read(file)
    _append("GITHUB_OUTPUT", (f"{name}={value}" for name, value in outputs(report, code, file).items()))
    _append("GITHUB_STEP_SUMMARY", summary(channel, report))
    _say(*problems(channel, report))
    sys.exit(code)


def _run(scratch: Path, channel: str, args: list[str], file: Path) -> int:
    """Run indexer with its report in a file, while the runner reads no line as a command; return the exit code."""
    command = "s3" if channel.startswith("s3://") else "fs"
    words: list[str | Path] = [scratch / "indexer/bin/indexer", command, channel, "--json", *args]
    token = uuid.uuid4().hex
    _say(f"::stop-commands::{token}")
    try:
        with file.open("wb") as stdout:
            return subprocess.run(words, stdout=stdout, check=False).returncode  # noqa: S603  no shell reads the inputs
    finally:
        _say(f"::{token}::")


def _read(file: Path) -> dict[str, Any]:
    """The report, or an empty one if indexer has ended without a report."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def outputs(report: Mapping[str, Any], code: int, file: Path) -> dict[str, object]:
    """The outputs of the step; none has a text from a package."""
    known = {outcome.value for outcome in Outcome}
    outcome = report.get("outcome")
    counts = {name: sum(len(sub[name]) for sub in _subdirs(report).values()) for name in _COUNTED}
    packages = sum(sub["packages"] for sub in _subdirs(report).values())
    shown = outcome if outcome in known else Outcome.FAILED.value
    return {"outcome": shown, "exit-code": code, "packages": packages, **counts, "report": file}


def summary(channel: str, report: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the summary, in Markdown."""
    yield f"### Index of {plain(channel)}: {plain(str(report.get('outcome', 'failed')))}\n"
    if error := report.get("error"):
        yield f"{plain(error)}\n"
    subdirs = _subdirs(report)
    if subdirs:
        yield "| subdir | packages | added | updated | removed | rejected |"
        yield "|---|--:|--:|--:|--:|--:|"
    for name, sub in subdirs.items():
        counts = " | ".join(str(len(sub[key])) for key in _COUNTED)
        yield f"| {plain(name)} | {sub['packages']} | {counts} |"
    rejected = [(f"{name}/{note['filename']}", note["reason"]) for name, note in _rejected(report)]
    if rejected:
        yield "\n| rejected | reason |\n|---|---|"
    yield from (f"| {plain(package)} | {plain(reason)} |" for package, reason in rejected[:_SHOWN])
    if len(rejected) > _SHOWN:
        yield f"\n{len(rejected) - _SHOWN} more rejected packages are in the report."
    yield ""


def problems(channel: str, report: Mapping[str, Any]) -> Iterator[str]:
    """A workflow command for each rejected package, and for each error."""
    folder = "" if channel.startswith("s3://") else f"{channel.rstrip('/')}/"
    for name, note in _rejected(report):
        file = _property(f"{folder}{name}/{note['filename']}")
        yield f"::error file={file},title=Package is rejected::{_data(note['reason'])}"
    errors = [report.get("error"), *(sub.get("error") for sub in _subdirs(report).values())]
    yield from (f"::error title=indexer::{_data(error)}" for error in errors if error)


def plain(text: str) -> str:
    """A text that Markdown shows as it is: each character that could be markup is an entity."""
    return _NOT_PLAIN.sub(lambda match: f"&#{ord(match[0])};", one_line(text))


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _subdirs(report: Mapping[str, Any]) -> dict[str, Any]:
    subdirs: dict[str, Any] = report.get("subdirs", {})
    return subdirs


def _rejected(report: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    return ((name, note) for name, sub in _subdirs(report).items() for note in sub["rejected"])


def _append(variable: str, lines: Iterator[str]) -> None:
    """Add lines to a file of the runner; an old runner has no summary."""
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)


def _say(*lines: str) -> None:
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode())
    sys.stdout.flush()


if __name__ == "__main__":
    main()
