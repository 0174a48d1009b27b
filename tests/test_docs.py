"""What the program has is documented, and what the documentation shows exists."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from leman.cli.main import cli
from leman.config import SETTINGS
from leman.environments.detect import FINDING_CODES
from leman.reproduction.model import Reason, Same, Status, Verdict
from leman.reproduction.report.as_json import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


@cache
def text_of(name: str) -> str:
    """Return the text of a page of the reference."""
    return (REFERENCE / name).read_text()


def commands(
    group: click.Command, path: tuple[str, ...] = ("leman",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, with the words that call it."""
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            one = group.get_command(context, name)
            assert one is not None
            yield from commands(one, (*path, name))
    else:
        yield path, group


COMMANDS = dict(commands(cli))


def options(command: click.Command) -> set[str]:
    """Return the long names of a command's options."""
    found = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return {name for name in found if name.startswith("--")}


def section(page: str, title: str) -> str:
    """Return the text under a heading, up to the next heading of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(title)}$", page, re.MULTILINE)
    assert match, f"no section {title!r}"
    rest = page[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_of_a_command_is_documented(path: tuple[str, ...]) -> None:
    """Each command has a section that names its options, and no option that it lacks."""
    told = section(text_of("commands.md"), " ".join(path))
    named = set(re.findall(r"`(--[a-z-]+)", told))
    assert named == options(COMMANDS[path]) - {"--help"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_a_help_text(path: tuple[str, ...]) -> None:
    """`--help` explains each command and each of its options."""
    command = COMMANDS[path]
    assert command.help
    for one in command.params:
        assert not isinstance(one, click.Option) or one.help, one.name


def test_every_setting_is_documented() -> None:
    """The page of settings has a row for each environment variable, and for no other."""
    rows = re.findall(r"^\| `(LEMAN_\w+)`", text_of("settings.md"), re.MULTILINE)
    assert sorted(rows) == sorted(SETTINGS)


def literal_arguments(function: str, *, position: int, keyword: str) -> set[str]:
    """Return the texts that the source passes to calls of `function` at one place."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) == function:
                named = [one.value for one in node.keywords if one.arg == keyword]
                given = node.args[position : position + 1] or named
                found |= {one.value for one in given if isinstance(one, ast.Constant)}
    return {one for one in found if isinstance(one, str)}


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def rows(page: str) -> list[str]:
    """Return the codes in the first column of a page's tables."""
    return re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)


def test_every_finding_is_documented() -> None:
    """The pages of findings have a row for each code that the source can report, and no other."""
    used = literal_arguments("Finding", position=0, keyword="code")
    used |= literal_arguments("finding", position=0, keyword="code")
    for maker in ("about_missing", "odd", "_problem"):
        used |= literal_arguments(maker, position=0, keyword="code")
    kept = re.findall(
        r"^\| `([a-z-]+)` \| (?:error|warning|info) \|", text_of("keep.md"), re.MULTILINE
    )
    pages = [rows(text_of("findings.md")), kept]
    assert {code for page in pages for code in page} == used | set(FINDING_CODES)
    assert all(len(page) == len(set(page)) for page in pages)


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("Of one output", [str(one) for one in Verdict]),
        ("Of one notebook", [*map(str, Status), *map(str, Same)]),
        ("Reasons", [str(one) for one in Reason if one]),
    ],
)
def test_every_verdict_and_reason_is_documented(title: str, values: list[str]) -> None:
    """Each table of verdicts and reasons has a row for each value of the model, and no other."""
    assert sorted(rows(section(text_of("verdicts-and-reasons.md"), title))) == sorted(values)


def test_every_kind_of_modification_is_documented() -> None:
    """Each kind of departure from the author's files has a row."""
    used = literal_arguments("Modification", position=0, keyword="kind")
    used |= literal_arguments("_note", position=0, keyword="kind")
    known = rows(section(text_of("verdicts-and-reasons.md"), "Modifications"))
    assert used == set(known)


def fields(value: Any) -> Iterator[str]:
    """Yield the name of every property of a JSON Schema."""
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict):
            yield from value["properties"]
        for one in value.values():
            yield from fields(one)
    elif isinstance(value, list):
        for one in value:
            yield from fields(one)


def test_every_field_of_the_report_is_documented() -> None:
    """The page on report.json names every property of its schema."""
    named = set(re.findall(r"`(\w+)`", text_of("report-json.md")))
    assert set(fields(schema())) <= named


def shown_lines() -> list[tuple[str, str]]:
    """Return each command line that a page shows, with the page's name."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    pages += (ROOT / "examples").rglob("*.md")
    lines = []
    for page in sorted(set(pages)):
        if "_build" in page.parts:
            continue
        name = page.relative_to(ROOT).as_posix()
        found = re.findall(r"^(?:\$ |    )(.*)$", page.read_text(), re.MULTILINE)
        lines += [(name, re.split(r" (?:[|]+|>) ", line)[0]) for line in found]
    return lines


def calls(program: str) -> list[tuple[str, list[str]]]:
    """Return the arguments of every shown call of a program."""
    found = []
    for page, line in shown_lines():
        words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else line.split()
        if words and Path(words[0]).name == program:
            found.append((page, words[1:]))
    return found


def test_every_shown_command_line_is_understood() -> None:
    """Each `leman …` line of README and docs is a command with options that it has."""
    shown = calls("leman")
    assert len(shown) > 20
    for page, words in shown:
        path: tuple[str, ...] = ("leman",)
        rest = words
        while rest and any(known[: len(path) + 1] == (*path, rest[0]) for known in COMMANDS):
            path, rest = (*path, rest[0]), rest[1:]
        if path == ("leman",):
            assert rest == ["--version"], f"{page}: leman {' '.join(words)}"
            continue
        try:
            COMMANDS[path].make_context(" ".join(path), rest, resilient_parsing=False)
        except click.UsageError as error:
            pytest.fail(f"{page}: leman {' '.join(words)}: {error.format_message()}")


def test_every_shown_make_target_exists() -> None:
    """Each `make …` line of README and docs names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = calls("make")
    assert shown
    for page, words in shown:
        assert {word for word in words if "=" not in word} <= targets, page


def test_readme_links_lead_somewhere() -> None:
    """Relative links of README and CONTRIBUTING point at files of the repository."""
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text()):
            assert "://" in target or (ROOT / target).exists(), f"{name}: {target}"


def test_the_table_of_commands_in_the_readme_is_whole() -> None:
    """README's table has a row for each command."""
    named = re.findall(r"^\| `(leman [a-z ]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {tuple(one.split()) for one in named} == set(COMMANDS)


@pytest.mark.parametrize("name", ["runtime", "test", "docs"])
def test_pinned_lists_name_no_index(name: str) -> None:
    """The pinned lists have a hash for every package and no address of anything."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert "--index" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert " --hash=sha256:" in block, block.splitlines()[0]
