"""Random tests take the same examples in every run; `--hypothesis-profile=campaign` takes new ones."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", derandomize=True)
settings.register_profile("campaign", derandomize=False, print_blob=True)
settings.load_profile("steady")
