"""Headless Chromium for tests. Tests that need a browser are skipped if none is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason=f"needs a Chromium: one of {', '.join(_NAMES)} on the PATH"
)


@contextmanager
def chromium(flags: Sequence[str] = ()) -> Iterator[Any]:
    """Run Chromium with these flags; yields Playwright's Browser."""
    as_root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []  # the sandbox does not work as root
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, *as_root])
        yield started
        started.close()
