"""What one package says about itself besides its record: texts, URLs and traits, as a frozen value."""

from __future__ import annotations

import msgspec


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one package says of itself; `sha256` (hex) says which one.

    `traits` are those of `TRAITS` that it has.  Texts and addresses are empty where it says nothing.
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
