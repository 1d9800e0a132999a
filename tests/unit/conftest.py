"""The laws among the unit tests have no deadline: a slow machine breaks no law."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
