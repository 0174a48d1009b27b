"""report.html: one page, complete, harmless, and honest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import report_samples as samples
from browsers import chromium
from html_reader import parse
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leman.environments.model import Attempt, Modification
from leman.findings import Finding
from leman.reproduction.model import (
    Comparison,
    Failure,
    NotebookResult,
    OutputVerdict,
    Reason,
    Report,
    Same,
    Status,
    Verdict,
)
from leman.reproduction.report import as_html, write
from leman.reproduction.report.pictures import decode
from leman.reproduction.report.text import file_name, shown, without_password
from leman.reproduction.report.words import OUTCOMES, VERDICTS, duration, headline, remarks

if TYPE_CHECKING:
    from pathlib import Path

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "]]><!--",
    "\udcff\x00\x1b[31m\u202e",
)


def hostile(text: str) -> Report:
    """Return a report in which every text that comes from elsewhere is `text`."""
    output = OutputVerdict(
        0, 0, text, Verdict.DIFFERENT, text, text, text + "\n1", text, text, text
    )
    others = tuple(replace(output, verdict=one) for one in Verdict)
    result = NotebookResult(
        path=text,
        status=Status.FAILED,
        reason=Reason.OTHER,
        message=text,
        advice=text,
        comparison=Comparison((output, *others), Same.NO),
        environment=text,
        runs=1,
        eligible=False,
        eligible_reason=text,
        failure=Failure(Reason.OTHER, text, text, text, 0),
        executed=text,
        attempts=(Attempt("run", text, text, text),),
        modifications=(Modification(text, text, text),),
    )
    full = samples.rich()
    built = full.environments[0]
    package = replace(built.lock.packages[0], name=text, version=text, uploaded=text, why=text)
    lock = replace(built.lock, packages=(package,), cutoff_reason=text, text=text)
    return replace(
        full,
        source=replace(full.source, url=text, revision=text, content_id=text, missing=(text,)),
        environments=(replace(built, lock=lock, digest=text),),
        notebooks=(result, replace(result, status=Status.RAN)),
        machine={text: text},
        isolation=replace(full.isolation, level=text, detail=text),
        started=text,
        findings=(Finding(text, "error", text, text, text),),
    )


@pytest.mark.parametrize("text", ATTACKS)
def test_what_notebooks_say_never_becomes_markup(text: str) -> None:
    """No element, attribute or address of the page comes from what a notebook or source says."""
    page = parse(as_html(hostile(text)))
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "object", "form"})
    assert not page.named("img")  # none of these texts is a picture
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        address = attributes.get("href") or "#"
        assert address.startswith(("#", "./")), address
        assert "/../" not in address


@given(text=st.text(alphabet=st.characters(), max_size=60))
@settings(max_examples=30, deadline=None)
def test_any_text_gives_a_page_that_nests(text: str) -> None:
    """Any code points at all give UTF-8 whose elements nest and of which none is a script."""
    page = as_html(hostile(text))
    page.encode()
    assert not parse(page).named("script")


def test_the_page_needs_nothing_else() -> None:
    """A strict policy is set, and no image, style or link loads anything from outside."""
    text = as_html(samples.rich())
    page = parse(text)
    policy = [one["content"] for one in page.named("meta") if "http-equiv" in one]
    assert policy == [
        (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
            " base-uri 'none'; form-action 'none'"
        )
    ]
    sources = [str(one["src"]) for one in page.named("img")]
    assert len(sources) == 3
    assert all(one.startswith("data:image/png;base64,") for one in sources)
    assert not page.named("link")
    assert "url(" not in text
    assert "@import" not in text


def test_every_link_inside_the_page_leads_somewhere() -> None:
    """Each in-page address is the id of an element."""
    page = parse(as_html(samples.rich()))
    ids = {attributes.get("id") for _, attributes in page.elements}
    inner = [str(one["href"]) for one in page.named("a") if str(one["href"]).startswith("#")]
    assert [one for one in inner if one[1:] not in ids] == []
    assert {f"verdict-{one}" for one in Verdict} <= ids
    assert {f"outcome-{one}" for one in OUTCOMES} <= ids


def test_every_verdict_and_outcome_is_explained() -> None:
    """The words for verdicts cover the model: every verdict, every level, every status."""
    assert set(VERDICTS) == set(Verdict)
    assert set(OUTCOMES) == {*(str(one) for one in Same), "failed", "skipped"}


def test_the_page_tells_what_a_referee_asks() -> None:
    """Verdict, isolation, date, revision, cut-off, failure, advice and changes are all there."""
    words = " ".join(" ".join(parse(as_html(samples.rich())).words).split())
    for expected in (
        "7 of 9 notebooks ran; 5 gave the same results.",
        "in a sandbox, no network",
        "23 November 2026, 07:48 UTC",
        "9c41d0e2aa",
        "Python 3.8.18 as of 2020-05-01",
        "the last commit that changed a cell",
        "1 of 42 numbers differs",
        "which the source does not hold",
        "Ask the authors for the file",
        "Traceback (most recent call last)",
        "unpin scikit-learn",
        "unseeded random numbers",
        "tagged leman-skip by the author",
        "widgets hold no comparable state",
        "could not be fetched",
    ):
        assert expected in words, expected
    assert "secret-token" not in words
    assert "[0;31m" not in words


def test_empty_reports_say_so() -> None:
    """Without notebooks the page says that there is nothing to confirm."""
    words = " ".join(parse(as_html(samples.empty())).words)
    assert "No notebooks were found." in words
    assert "No environment was built." in words


def test_identical_results_say_that_nothing_differs() -> None:
    """A notebook of which every output is identical says so."""
    result = samples.ran("a.ipynb", (Verdict.IDENTICAL,), Same.EXACT)
    words = " ".join(parse(as_html(replace(samples.rich(), notebooks=(result,)))).words)
    assert "Nothing differs: every output is identical." in words
    assert "The notebook ran and gave the same results." in words


RAN, FAILED = (samples.ran("a.ipynb", (Verdict.IDENTICAL,), Same.EXACT), samples.failed())
OTHER = samples.ran("b.ipynb", (Verdict.DIFFERENT,), Same.NO)
UNKNOWN = samples.ran("c.ipynb", (Verdict.VOLATILE,), Same.NOT_COMPARED)


@pytest.mark.parametrize(
    ("notebooks", "said"),
    [
        ((), "No notebooks were found."),
        ((RAN,), "The notebook ran and gave the same results."),
        ((OTHER,), "The notebook ran; its results differ."),
        ((UNKNOWN,), "The notebook ran; there was nothing to compare."),
        ((FAILED,), "The notebook did not run to its end."),
        ((FAILED, FAILED), "None of the 2 notebooks ran."),
        ((RAN, RAN), "All 2 notebooks ran; all gave the same results."),
        ((RAN, OTHER), "All 2 notebooks ran; 1 gave the same results."),
        ((RAN, FAILED), "1 of 2 notebooks ran; it gave the same results."),
        ((UNKNOWN, FAILED), "1 of 2 notebooks ran; it did not give the same results."),
        ((UNKNOWN, OTHER), "All 2 notebooks ran; none gave the same results."),
    ],
)
def test_the_headline_is_true(notebooks: tuple[NotebookResult, ...], said: str) -> None:
    """The sentence on top counts only what was compared and found equal as the same."""
    assert headline(replace(samples.rich(), notebooks=notebooks)) == said


def test_what_was_not_confirmed_is_said_beside_the_headline() -> None:
    """A notebook that is the same but for volatile outputs is named as such."""
    result = samples.ran("a.ipynb", (Verdict.IDENTICAL, Verdict.VOLATILE), Same.EXACT)
    (remark,) = remarks(replace(samples.rich(), notebooks=(result,)))
    assert "volatile, exempt or not compared" in remark


def test_the_page_stays_small_and_says_what_it_left_out() -> None:
    """Pictures over eight million bytes and texts over three million characters are left out."""
    noise = Image.effect_noise((1500, 1500), 100)
    picture = samples.picture(noise)
    assert len(picture) > 2_000_000
    image = OutputVerdict(0, 0, "image/png", Verdict.DIFFERENT, stored_image=picture)
    text = OutputVerdict(0, 0, "stream", Verdict.DIFFERENT, "", "a\n" * 20_000, "b\n" * 20_000)
    results = tuple(
        NotebookResult(
            f"{number}.ipynb",
            Status.RAN,
            comparison=Comparison((image, *(text for _ in range(50))), Same.NO),
        )
        for number in range(5)
    )
    page = as_html(replace(samples.rich(), notebooks=results))
    assert len(page) < 25_000_000
    assert "Not embedded, to keep this page small" in page
    assert "The texts are not on this page" in page


def test_only_pictures_pass_as_pictures() -> None:
    """SVG, HTML, GIF, truncated, oversized or foreign bytes are refused; a PNG is written anew."""
    good = samples.picture(Image.new("P", (3, 2)))
    assert decode(good) is not None
    for bad in ("", "!!!", "PHN2Zy8+", good[: len(good) // 2], good.replace("A", "/", 5)):
        assert decode(bad) is None, bad
    bomb = samples.picture(Image.new("1", (6000, 5000)))
    assert decode(bomb) is None


def test_hidden_characters_are_made_visible() -> None:
    """Colours go; what reorders or hides text is shown as an escape."""
    assert shown("\x1b[31mred\x1b[0m \x1b]0;title\x07x\u202ey\udc80\x00") == (
        "red x\\u202ey\\udc80\\x00"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pw@host:8443/a?b#c", "https://host:8443/a?b#c"),
        ("https://token@host/a", "https://host/a"),
        ("https://host/a@b", "https://host/a@b"),
        ("gh:owner/name", "gh:owner/name"),
        ("https://[bad@host/a", "host/a"),
    ],
)
def test_addresses_lose_their_passwords(url: str, expected: str) -> None:
    """User names and tokens are taken out of an address, and nothing else."""
    assert without_password(url) == expected


def test_file_names_stay_inside_their_folder() -> None:
    """A label becomes a plain name: no dots, no slashes, never empty."""
    assert [file_name(one) for one in ("../../etc", "a b/ü.ipynb", "", "日本")] == [
        "etc", "a-b-u-ipynb", "unnamed", "unnamed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (41.2, "41 s"), (192, "3 min 12 s"), (7500, "2 h 5 min"), (-1, "unknown"),
     (float("nan"), "unknown"), (float("inf"), "unknown"), (59.7, "1 min")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    """Seconds become words; what is no duration is unknown."""
    assert duration(seconds) == said


@pytest.mark.browser
def test_the_page_works_in_a_browser(tmp_path: Path) -> None:
    """In Chromium nothing is requested, nothing overflows, and links open what they lead to."""
    address = write(samples.rich(), tmp_path).as_uri()
    with chromium() as browser:
        for width in (1200, 600, 390, 320):
            page = browser.new_page(viewport={"width": width, "height": 800})
            seen: list[str] = []
            page.on("request", lambda request: seen.append(request.url))  # noqa: B023
            page.on("console", lambda message: seen.append(message.text))  # noqa: B023
            page.goto(address)
            overflow = "document.documentElement.scrollWidth - innerWidth"
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.evaluate(overflow) <= 0, width
            assert [one for one in seen if not one.startswith("data:")] == [address]
        page = browser.new_page()
        page.goto(address)
        details = page.locator("#notebook-2")
        assert details.get_attribute("open") is None
        page.get_by_role("link", name="02_clean.ipynb").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('#notebook-2').open")
