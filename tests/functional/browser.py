"""Chromium, driven through Playwright, and what it complains about."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

Scheme = Literal["light", "dark"]

PATIENCE_SECONDS = 10
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing but the console is to be talked to.
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def start_browser() -> Iterator[Browser]:
    """Without a Chromium the tests are skipped, or fail where AWALA_REQUIRE_SERVERS is set."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        if os.environ.get("AWALA_REQUIRE_SERVERS") == "1":
            pytest.fail("There is no Chromium on the PATH")
        pytest.skip("CONSOLE NOT TESTED IN A BROWSER: there is no Chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_OPTIONS))
        yield browser
        browser.close()


class WatchedPage:
    """A page whose complaints are kept: errors of scripts, what the page's own policy forbade, foreign requests."""

    def __init__(self, browser: Browser, url: str, *, scheme: Scheme = "light", width: int = 1280) -> None:
        self.url = url
        self.complaints: list[str] = []
        self._context = browser.new_context(
            base_url=url, color_scheme=scheme, viewport={"width": width, "height": 900}, device_scale_factor=1
        )
        self._context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda message: self._complain(message.type in {"error", "warning"}, message.text))
        self.page.on("pageerror", lambda error: self._complain(True, str(error)))  # noqa: FBT003
        self.page.on("request", lambda request: self._complain(not request.url.startswith(url), request.url))

    def sign_in(self, password: str, name: str = "admin") -> None:
        self.page.goto("/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", password)
        with self.page.expect_navigation():
            self.page.click("input[type=submit]")

    def close(self) -> None:
        self._context.close()

    def _complain(self, is_complaint: bool, text: str) -> None:  # noqa: FBT001
        if is_complaint:
            self.complaints.append(text)
