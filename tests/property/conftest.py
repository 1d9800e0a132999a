"""How hard the laws are tried: no deadline, for a slow machine breaks no law."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("laws", deadline=None, max_examples=30)
settings.load_profile("laws")
