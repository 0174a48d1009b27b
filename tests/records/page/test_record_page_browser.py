"""record.html in a real browser: quiet, keyboard-friendly, and never wider than its window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from page_browser import OPEN_ALL, opened
from page_samples import code, data, notebook, picture, record, stream, text
from test_record_page_hostile import ATTACKS, SVG, everywhere, hostile_facts

from leman.records.page import as_html

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.browser


def written(folder: Path) -> Path:
    """Write the page of a record with wide things and small ones."""
    wide = "<table><tr>" + "<td>123456789.123456789</td>" * 40 + "</tr></table>"
    first = notebook(
        text("# A title that is rather long\n\n## Part\n\n### Smaller\n\nSee " + "a" * 300),
        text("|" + "head|" * 30 + "\n|" + "--|" * 30 + "\n|" + "cell|" * 30),
        text("$$\\sum_{i=1}^{n} x_i + " + " + ".join(f"x_{{{n}}}" for n in range(60)) + "$$"),
        code("x = '" + "y" * 400 + "'", stream("z" * 400), data(html=wide)),
        code("plot()", data(png=picture(size=(1600, 300))), data(svg=SVG)),
    )
    second = notebook(text("# Another"), code("1 + 1", stream("2")))
    known, place = record(folder, **{"first-" + "n" * 90: first, "second": second})
    page = folder / "record.html"
    page.write_text(as_html(known, place))
    return page


def test_it_asks_for_nothing_and_complains_of_nothing(tmp_path: Path, chromium: str) -> None:
    """Opened from a folder, the page requests only itself and the console stays empty."""
    path = written(tmp_path)
    with opened(path, chromium) as seen:
        seen.page.evaluate(OPEN_ALL)
        seen.page.wait_for_function("[...document.images].every(one => one.complete)")
        broken = "[...document.images].filter(one => !one.naturalWidth).length"
        assert seen.page.evaluate(broken) == 0
        assert seen.complained == []
        assert [one for one in seen.asked if not one.startswith("data:")] == [path.as_uri()]


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_it_is_never_wider_than_the_window(width: int, tmp_path: Path, chromium: str) -> None:
    """Long names, tables, formulae and pictures scroll or wrap inside the page."""
    with opened(written(tmp_path), chromium, width) as seen:
        assert seen.overflow <= 0
        seen.page.evaluate(OPEN_ALL)
        assert seen.overflow <= 0


def test_no_attack_runs(tmp_path: Path, chromium: str) -> None:
    """All attacks at once, in every place: no script runs, nothing is loaded, no title changes."""
    notebooks = {f"n{number}": everywhere(attack) for number, attack in enumerate(ATTACKS)}
    known, place = record(tmp_path, **notebooks)
    known |= {"source": hostile_facts(ATTACKS[1], "a")["source"]}
    path = tmp_path / "record.html"
    path.write_text(as_html(known, place))
    with opened(path, chromium) as seen:
        seen.page.evaluate(OPEN_ALL)
        seen.page.wait_for_function("[...document.images].every(one => one.complete)")
        clicked = "[...document.querySelectorAll('.body a, .body td, .body img')]"
        seen.page.evaluate(
            "document.addEventListener('click', event => event.preventDefault());"
            f"{clicked}.forEach(one => one.click())"
        )
        assert seen.page.title() == "Eleven years of the sun"
        assert seen.complained == []
        assert [one for one in seen.asked if not one.startswith("data:")] == [path.as_uri()]


def test_the_keyboard_reaches_everything(tmp_path: Path, chromium: str) -> None:
    """Tab goes through every link and summary in order, each with a visible outline."""
    with opened(written(tmp_path), chromium) as seen:
        page = seen.page
        wanted = page.evaluate(
            "[...document.querySelectorAll('a[href], summary')]"
            ".filter(one => one.checkVisibility({contentVisibilityAuto: true})).length"
        )
        reached: set[str] = set()
        for _ in range(wanted + 40):
            page.keyboard.press("Tab")
            found = page.evaluate(FOCUSED)
            if found and found != "other":
                place, outline = found.split()
                assert outline != "none"
                reached.add(place)
        assert len(reached) == wanted


def test_a_link_opens_the_notebook_that_it_leads_into(tmp_path: Path, chromium: str) -> None:
    """The contents lead into closed notebooks; a summary opens by the keyboard."""
    with opened(written(tmp_path), chromium) as seen:
        first = seen.page.locator("#notebook-1")
        assert first.get_attribute("open") is None
        first.locator("summary").focus()
        seen.page.keyboard.press("Enter")
        assert first.get_attribute("open") is not None
        seen.page.evaluate("location.hash = '#n2-cell-2'")
        seen.page.wait_for_function("document.querySelector('#notebook-2').open")


FOCUSED = """
(() => {
  const one = document.activeElement;
  if (one === document.body) return '';
  const place = [...document.querySelectorAll('a[href], summary')].indexOf(one);
  return place < 0 ? 'other' : place + ' ' + getComputedStyle(one).outlineStyle;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(scheme: str, tmp_path: Path, chromium: str) -> None:
    """Text stands out from its ground by 4.5 to 1 at least (WCAG 2.2, 1.4.3), light and dark."""
    with opened(written(tmp_path), chromium, color_scheme=scheme) as seen:
        seen.page.evaluate(OPEN_ALL)
        assert seen.page.evaluate(CONTRASTS) == []


CONTRASTS = """
(() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = c => (c /= 255) <= .04045 ? c / 12.92
    : ((c + .055) / 1.055) ** 2.4; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b) };
  const ground = one => { for (; one; one = one.parentElement) {
    const found = numbers(getComputedStyle(one).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found } return [255, 255, 255] };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !one.checkVisibility()) continue;
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(ground(one))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faint.add(one.tagName + '.' + one.className + ' ' + ratio.toFixed(2));
  }
  return [...faint];
})()
"""


def test_it_prints_with_everything_open(tmp_path: Path, chromium: str) -> None:
    """On paper closed notebooks are open, and the side column is gone."""
    with opened(written(tmp_path), chromium) as seen:
        seen.page.emulate_media(media="print")
        assert seen.page.locator("nav.side").is_hidden()
        assert seen.page.locator("#n2-cell-2").bounding_box() is not None
        assert seen.page.pdf().startswith(b"%PDF")
