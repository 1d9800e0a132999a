"""The metadata of one package besides its record: texts, URLs and traits, as a frozen value."""

from __future__ import annotations

import msgspec


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metadata of the package with this `sha256` (hex).

    `traits` has the members of `TRAITS` that the package has.  A text or URL that the package does not give is empty.
    """

    sha256: str = ""
    summary: str = ""
    description: str = ""
    home: str = ""
    dev_url: str = ""
    doc_url: str = ""
    doc_source_url: str = ""
    license: str = ""
    source_url: tuple[str, ...] = ()
    source_git_url: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    run_exports: dict[str, list[str]] = {}
