"""botocore's descriptions of services, decoded by orjson, which makes a client in three quarters of the time."""

from __future__ import annotations

import contextlib
import gzip
from typing import Any

import orjson
from botocore.loaders import JSONFileLoader


class ModelFiles(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """What botocore's loader reads files with."""

    def load_file(self, file_path: str) -> Any:
        """What a file holds that is named without its extension, None where there is none."""
        for extension, opened in ((".json", open), (".json.gz", gzip.open)):
            with contextlib.suppress(FileNotFoundError), opened(file_path + extension, "rb") as file:
                return orjson.loads(file.read())
        return None
