"""Fuzz every reader for some seconds each: `python -m tests.hostile SECONDS [READER...]` (`make fuzz`).

What is found is printed and kept under .fuzz/found, one file for each place that raised; add it to `corpus.py`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.hostile.corpus import SEEDS

# Limits of one input; test_packages.py and test_listing.py test the limits of the readers with real sizes.
_MAX_INPUT = 4096
_SLOW = 2.0
_FOLDER = Path(".fuzz")


def main() -> int:
    """Give each reader its share of the time in a process of its own: libFuzzer ends the one it runs in."""
    seconds, *names = sys.argv[1:]
    codes = {
        name: subprocess.run([sys.executable, "-m", "tests.hostile", "--one", name, seconds], check=False).returncode
        for name in names or SEEDS
    }
    results = [f"{name}: ended with exit code {code}" for name, code in codes.items() if code]
    results += [f"found: {path}" for path in sorted((_FOLDER / "found").glob("*")) if path.is_file()]
    sys.stdout.write("\n".join(results or ["nothing found"]) + "\n")
    return 1 if results else 0


def _one(name: str, seconds: str) -> None:
    import atheris

    with atheris.instrument_imports(include=["indexer", "tarfile", "zipfile"]):
        from indexer.core.errors import IndexerError
        from tests.hostile.readers import READERS

    corpus = _FOLDER / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    (_FOLDER / "found").mkdir(exist_ok=True)
    for seed in SEEDS[name]:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    places: set[str] = set()

    def try_it(data: bytes) -> None:
        began = time.process_time()
        try:
            READERS[name](data)
        except IndexerError:
            pass
        except Exception as error:  # noqa: BLE001  this is what we are after
            keep(
                data, type(error).__name__ + str(traceback.extract_tb(error.__traceback__)[-1]), traceback.format_exc()
            )
        if time.process_time() - began > _SLOW:
            keep(data, "slow", "slow")

    def keep(data: bytes, place: str, said: str) -> None:
        if place not in places:
            places.add(place)
            path = _FOLDER / "found" / f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
            path.write_bytes(data)
            sys.stderr.write(f"{path}\n{said}\n")

    flags = [f"-max_total_time={seconds}", f"-max_len={_MAX_INPUT}", "-rss_limit_mb=1000", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *flags], try_it)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        _one(*sys.argv[2:])
    sys.exit(main())
