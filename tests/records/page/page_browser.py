"""A real browser that opens a page and tells what it did."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Dialog, Page

OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"


@dataclass
class Opened:
    """An open page, what it asked for and what it complained about."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complained: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        """Close a dialog, which no page should have opened."""
        self.complained.append(f"dialog {dialog.message}")
        dialog.dismiss()

    @property
    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@contextmanager
def opened(path: Path, chromium: str, width: int = 1280, **more: str) -> Iterator[Opened]:
    """Open a file in Chromium as somebody would from a folder."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            context = browser.new_context(viewport={"width": width, "height": 900}, **more)  # type: ignore[arg-type]
            page = context.new_page()
            seen = Opened(page)
            page.on("request", lambda request: seen.asked.append(request.url))
            page.on("console", lambda message: seen.complained.append(message.text))
            page.on("pageerror", lambda error: seen.complained.append(str(error)))
            page.on("dialog", seen.dismiss)
            page.goto(path.as_uri())
            yield seen
        finally:
            browser.close()
