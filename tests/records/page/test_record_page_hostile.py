"""record.html of hostile notebooks: always made, always harmless, always small."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from html_reader import parse
from hypothesis import given, settings
from hypothesis import strategies as st
from page_samples import code, data, facts, notebook, picture, record, stream, text

from leman.records.page import as_html

if TYPE_CHECKING:
    from pathlib import Path

ATTACKS = (
    "<script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=\"document.title='owned'\"><script>document.title='owned'</script></svg>",
    "<svg><style><img src=x onerror=document.title='owned'></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img src onerror=document.title='owned'>",
    "<noscript><p title=\"</noscript><img src=x onerror=document.title='owned'>\">",
    "<a href=\"javascript:document.title='owned'\">click</a>",
    "<a href=\"JaVa\tScript:document.title='owned'\">click</a>",
    "<a href=\"&#106;avascript:document.title='owned'\">click</a>",
    "<a href=\"data:text/html,<script>document.title='owned'</script>\">click</a>",
    "[click](javascript:document.title='owned')",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:document.title='owned')",
    '<a href="//evil.example/x">click</a> <a href="\\\\evil.example">click</a>',
    "<iframe src='javascript:parent.document.title=\"owned\"'></iframe>",
    "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>",
    "<object data=evil.svg></object><embed src=evil.swf>",
    "<form action=https://evil.example><input name=q autofocus onfocus=document.title='owned'>",
    "<meta http-equiv=refresh content='0;url=//e.example'><base href=//e.example>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>body { display: none } * { background: url(https://evil.example) }</style>",
    "<div style=\"position:fixed;inset:0;background:url('https://evil.example')\">over all</div>",
    "<p class=caution id=main>forged</p><details open><summary>x</summary></details>",
    "</div></details></main></body></html><script>document.title='owned'</script>",
    "<!-- <![CDATA[ --><script>document.title='owned'</script><!--",
    "<table><tr><td></table></table></details><script>document.title='owned'</script>",
    "<td colspan=99999999 rowspan=99999999 onclick=document.title='owned'>x</td>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u2066 \x00\x1b[31m\x9b\udcff",
    "$\\href{javascript:document.title='owned'}{x}$ $$<script>document.title='owned'</script>$$",
    "`<script>document.title='owned'</script>` ```\n<script>\n```",
    "</style></title></textarea></template><script>document.title='owned'</script>",
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="8"'
    " onload=\"document.title='owned'\">"
    "<script>document.title='owned'</script><image href='https://evil.example/x.png'/>"
    "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'><script>document.title='owned'"
    "</script></body></foreignObject></svg>"
)
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "footer",
    "article", "details", "summary", "time", "bdi", "svg", "circle", "rect", "path",
    "a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del", "div", "dl", "dt",
    "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol",
    "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "u", "ul", "var",
    "math", "mrow", "mi", "mn", "mo", "mtext", "msub", "msup", "msubsup", "mfrac", "msqrt",
    "munder", "mover", "munderover", "mspace", "mroot", "mtable", "mtr", "mtd",
}  # fmt: skip


def everywhere(attack: str) -> bytes:
    """Return a notebook in which every text is the attack."""
    return notebook(
        text(attack, attachments={attack: {attack: attack}}),
        text(f"# {attack}\n\n- {attack}\n\n> {attack}\n\n|{attack}|\n|--|\n|{attack}|"),
        {"cell_type": "raw", "source": attack},
        {"cell_type": attack, "source": attack},
        code(
            attack,
            stream(attack),
            stream(attack, "stderr"),
            {"output_type": "error", "ename": attack, "evalue": attack, "traceback": [attack]},
            data(html=f"<table><tr><td>{attack}</td></tr></table>"),
            data(html=attack),
            data(markdown=attack),
            data(latex=attack),
            data(svg=attack, plain=attack),
            data(svg=SVG),
            data(png=attack, plain=attack),
            data(png=picture(), plain=attack),
            {"output_type": "display_data", "data": {attack: attack}},
            count=attack,
        ),
        language=attack,
    )


def hostile_facts(attack: str, path: str) -> dict[str, Any]:
    """Return facts in which every text is the attack, but for the notebook's path."""

    def spoiled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoiled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [spoiled(one) for one in value]
        return attack if isinstance(value, str) else value

    known: dict[str, Any] = spoiled(facts(path))
    known["notebooks"] = [{"path": path, "executed": "", "status": attack, "same": attack}]
    known["exempt"] = [{"notebook": path, "cell": 4, "tag": attack}]
    return known


def assert_harmless(page: str) -> None:
    """Check that nothing on the page runs, loads, sends, hides or leads to where it should not."""
    page.encode()
    reader = parse(page)
    assert {name for name, _ in reader.elements} <= ELEMENTS
    for name, attributes in reader.elements:
        assert not [key for key in attributes if key.startswith("on")]
        assert "style" not in attributes
        if name == "img":
            assert re.match(r"data:image/(png|jpeg|svg\+xml);base64,", str(attributes["src"]))
            assert attributes.get("alt")
        if "href" in attributes:
            assert re.match(r"https?://|mailto:|#|data/", str(attributes["href"])), attributes
        if name == "meta" and "http-equiv" in attributes:
            assert attributes["http-equiv"] == "Content-Security-Policy"
    assert len(reader.named("main")) == len(reader.named("style")) == len(reader.named("h1")) == 1
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert len(page.encode()) < 6_000_000


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_gets_through(attack: str, tmp_path: Path) -> None:
    """Whatever a notebook or a description holds is shown as text or left out."""
    _, place = record(tmp_path, a=everywhere(attack))
    assert_harmless(as_html(hostile_facts(attack, "a.ipynb"), place))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*"<>\"'&;=/ \n`*_[]()!#$\\|~-", "<a href=", "<img src=", "<table>", "<td>", "</div>",
             "<script>", "<style>", "<!--", "data:", "javascript:", "<math>", "<svg>", "]]>", "x"]
        ),
        max_size=40,
    ).map("".join)
)  # fmt: skip
def test_no_mixture_gets_through(tmp_path_factory: pytest.TempPathFactory, mixture: str) -> None:
    """Pieces of markup in any order are as harmless."""
    _, place = record(tmp_path_factory.mktemp("mixture"), a=everywhere(mixture))
    assert_harmless(as_html(hostile_facts(mixture, "a.ipynb"), place))


def deep(levels: int) -> bytes:
    """Return JSON that nests deeper than a parser goes."""
    return b'{"cells": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"\xff\xfe\x00n\x00o",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"cells": {}}',
        b'{"cells": [null, 1, "x", [], {}]}',
        b'{"cells": [{"cell_type": 1, "source": {"a": 1}, "outputs": "x"}]}',
        b'{"cells": [{"cell_type": "code", "source": [1, null], "outputs": [1, {"data": []}]}]}',
        b'{"cells": [{"cell_type": "code", "source": "x", "outputs": [{"data": {"a/b": 1}}]}]}',
        b'{"cells": [], "metadata": {"language_info": {"name": ["python"]}}}',
        b'{"cells": [{"cell_type": "markdown", "source": "x", "attachments": 1}], "metadata": 1}',
        b'{"worksheets": [{"cells": [{"cell_type": "code", "input": "print 1", "outputs": []}]}]}',
        b'{"worksheets": {"cells": 1}}',
        b'{"cells": [{"cell_type": "markdown", "source": "caf\xe9 \xff"}]}',
        b'{"cells": [{"cell_type": "markdown", "source": "\\ud800 \\u0000 \\udfff"}]}',
        b'{"cells": [{"cell_type": "code", "source": "x", "execution_count": 1e999}]}',
        b'{"cells": [{"cell_type": "code", "source": "x", "execution_count": '
        + b"9" * 9000
        + b"}]}",
        deep(200_000),
        b'{"cells": [{"cell_type": "code", "outputs": [{"output_type": "display_data", "data": '
        + b'{"a":' * 500
        + b"1"
        + b"}" * 500
        + b"}]}]}",
    ],
)
def test_malformed_notebooks_have_a_page(content: bytes, tmp_path: Path) -> None:
    """What is no notebook, or half of one, is said or shown as far as it goes."""
    page = as_html(*record(tmp_path, a=content))
    assert_harmless(page)
    assert "a.ipynb" in page


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 20_000,
        "<b><p>" * 20_000,
        "<table><tr><td>" * 10_000,
        "<a href=x>" * 20_000,
        "> " * 50_000,
        "- " * 50_000,
        "[" * 50_000,
        "![](" * 20_000,
        "*a **b " * 20_000,
        "`" * 100_000,
        "$a" * 50_000,
        "\\begin{a}" * 20_000,
        "<style" * 30_000,
        "<script>" * 30_000,
        "&" * 100_000,
        "<" * 100_000,
        "# x\n" * 30_000,
        "|a" * 20_000 + "\n" + "|-" * 20_000 + "\n" + "|b" * 20_000,
        "x" * 3_000_000,
        "\u0130<script>alert(1)</script>",
        "$" + "{" * 4_000 + "}" * 4_000 + "$",
        "$" + "\\frac" * 900 + "$",
        "$$" + "x^{" * 400 + "1" + "}" * 400 + "$$",
    ],
    ids=lambda source: source[:8].strip(),
)
def test_pathological_texts_have_a_page(source: str, tmp_path: Path) -> None:
    """Texts that would keep a parser busy or blow its stack do neither."""
    cells = (
        text(source),
        code(source, stream(source), data(html=source), data(html=f"<table>{source}")),
    )
    assert_harmless(as_html(*record(tmp_path, a=notebook(*cells))))


def test_giant_outputs_are_cut(tmp_path: Path) -> None:
    """A hundred megabytes of output become some kilobytes, with a word on it."""
    cells = [code("x", stream("line of output\n" * 2_000_000)) for _ in range(2)]
    table = "<table>" + "<tr><td>1</td></tr>" * 100_000 + "</table>"
    cells.append(code("y", data(html=table, plain="a b\n" * 100_000)))
    cells.append(code("z", *(stream("again\n") for _ in range(5_000))))
    page = as_html(*record(tmp_path, a=notebook(*cells)))
    assert_harmless(page)
    assert len(page) < 150_000
    assert "characters left out" in page
    assert "4,960 more outputs are not on this page." in page


def test_a_notebook_of_ten_thousand_cells_has_a_page(tmp_path: Path) -> None:
    """Its first cells are shown, the others are counted and the file is linked."""
    cells = [code(f"x = {number}", stream(f"{number}\n")) for number in range(10_000)]
    page = as_html(*record(tmp_path, a=notebook(*cells)))
    assert_harmless(page)
    assert len(page.encode()) < 5_000_000
    shown = page.count('class="cell code"')
    assert shown > 1_000
    assert f"{10_000 - shown:,} more cells are not here" in page


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A notebook of more than 64 MB is named and linked."""
    known, place = record(tmp_path, a=b"{}")
    with (place / "report/notebooks/a.ipynb").open("wb") as file:
        file.truncate(70 * 1024**2)
    assert "It is too large to show here." in as_html(known, place)


def test_paths_cannot_lead_out_of_the_record(tmp_path: Path) -> None:
    """Facts and notebooks that name files elsewhere get none of their content."""
    (tmp_path / "secret.ipynb").write_bytes(notebook(code("password")))
    cells = (
        text("![a](../../secret.png) [b](../../secret.ipynb) [c](%2e%2e/%2e%2e/secret)"),
        text("![d](/etc/hostname) [e](file:///etc/passwd) ![f](linked.png)"),
    )
    known, place = record(tmp_path, a=notebook(*cells))
    (tmp_path / "secret.png").write_bytes(b"")
    (place / "source/linked.png").symlink_to(tmp_path / "secret.png")
    (place / "report/linked.ipynb").symlink_to(tmp_path / "secret.ipynb")
    for path in (
        "../secret.ipynb",
        "report/linked.ipynb",
        "/etc/passwd",
        "source",
        "a\0b",
        "x" * 9000,
    ):
        known["notebooks"].append(
            {"path": path, "executed": path, "status": "ran", "same": "exact"}
        )
    known["environments"][0]["lock"] = "../secret.ipynb"
    page = as_html(known, place)
    assert_harmless(page)
    assert "password" not in page
    assert "secret.ipynb" not in " ".join(
        str(one.get("href")) for one in parse(page).named("a")
    ).replace("data/source/secret.ipynb", "")


def test_wrong_types_in_the_facts_are_no_obstacle(tmp_path: Path) -> None:
    """Every fact may be of any type: the page is made and names what it does not know."""
    whole = facts("a.ipynb")
    wrong: Any
    for wrong in (None, 1, -1.5, True, "text", [], [1, None, "x"], {}, {"a": 1}, [[]], [{}]):
        assert_harmless(as_html(dict.fromkeys(whole, wrong), tmp_path))
        for key, value in whole.items():
            if isinstance(value, dict):
                assert_harmless(as_html({**whole, key: dict.fromkeys(value, wrong)}, tmp_path))
            elif isinstance(value, list) and value:
                spoiled = [dict.fromkeys(value[0], wrong), wrong]
                assert_harmless(as_html({**whole, key: spoiled}, tmp_path))


def test_facts_without_end_stay_small(tmp_path: Path) -> None:
    """A hundred thousand authors, references and exempt cells are cut and counted."""
    known = facts()
    for key, many in (
        ("references", {"path": "p" * 3_000, "url": "https://e.example/" + "u" * 3_000, "size": 1}),
        ("exempt", {"notebook": "n" * 3_000, "cell": 0, "tag": "t" * 3_000}),
    ):
        known[key] = [{**many, "cell": number} for number in range(20_000)]
    known["description"]["authors"] = [{"name": f"A{number}" * 50} for number in range(20_000)]
    known["description"]["title"] = "T" * 100_000
    known["source"]["missing"] = [f"{number}/{'m' * 2_000}" for number in range(20_000)]
    assert_harmless(as_html(known, tmp_path))


def test_hidden_directions_are_made_visible(tmp_path: Path) -> None:
    """A title that reads backwards is shown with the character that turns it."""
    known, place = record(tmp_path, a=notebook(text("# \u202egnp.exe"), code("x = 1 # \u2066")))
    known["description"]["title"] = "Results \u202efdp.exe"
    page = as_html(known, place)
    assert "Results \\u202efdp.exe" in page
    assert "\\u2066" in page
    json.dumps(page)


def test_joined_emoji_and_scripts_stay(tmp_path: Path) -> None:
    """What reads from right to left by nature, and joined signs, are left as they are."""
    words = "\u05e9\u05dc\u05d5\u05dd \u0645\u06cc\u200c\u062e \U0001f469\u200d\U0001f52c"
    page = as_html(*record(tmp_path, a=notebook(text(words))))
    assert words in page
