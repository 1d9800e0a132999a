"""The code of a page of the documentation: its commands and its Python run, and their output is compared."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
from pathlib import Path

from tests.support.command import Ran, invoke

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Other tests count requests.
_COUNTS = re.compile(r"^  store: .*$", re.MULTILINE)
# The names of shards depend on the dates in records.
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_TIME = re.compile(r" in \d+\.\d s$", re.MULTILINE)


def with_real_output(page: str, folder: Path) -> str:
    """The page with the outputs of all its commands, which are called in order in a folder.

    A line `$ indexer ...` is called, `$ cat FILE` shows a file, `$ echo $?` the exit code; `rm` and `cp` are
    called as they are.
    """
    return _BLOCK.sub(lambda block: f"```console\n{_played(block[1], folder)}```", page)


def comparable(page: str) -> str:
    """The page without counts of requests and bytes, and without digests."""
    return _DIGEST.sub("DIGEST", _COUNTS.sub("", page))


def output_of_python(page: Path, folder: Path) -> list[str]:
    """The lines that the Python blocks of a page print, which run in order in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            for code in _PYTHON.findall(page.read_text()):
                exec(compile(code, str(page), "exec"), {})
    finally:
        os.chdir(before)
    return out.getvalue().splitlines()


def _played(block: str, folder: Path) -> str:
    lines, ran = [], Ran(0, "", "")
    for line in block.splitlines():
        words = shlex.split(line) if line.startswith("$ ") else []
        if words[1:2] == ["echo"]:
            lines += [line, str(ran.code)]
        elif words[1:2] == ["cat"]:
            lines += [line, *(folder / words[2]).read_text().splitlines()]
        elif words[1:2] in (["rm"], ["cp"]):
            subprocess.run(words[1:], cwd=folder, check=True)
            lines.append(line)
        elif words:
            ran = invoke(*words[2:], folder=folder)
            lines += [line, *ran.err.splitlines(), *ran.out.splitlines()]
    return _TIME.sub(" in 0.1 s", "\n".join(lines)) + "\n"
