# ruff: noqa: E501 - a rule is one line, so that the table can be read
"""What is written alike before two texts are compared, rule by rule.

Each rule names something that changes from machine to machine or from one version of a library
to the next and is no result. A rule never touches an ordinary number: a duration is masked in a
known timing form only, an address only where Python prints one. All patterns take time linear
in the text: no nested repeats, bounded gaps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_UNIT = r"(?:ns|us|µs|μs|ms|s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?)\b"
_DURATION = rf"\d{{1,15}}(?:\.\d{{1,30}})?(?:e[+-]?\d{{1,15}})?\s{{0,3}}{_UNIT}(?:,?\s\d{{1,15}}(?:\.\d{{1,30}})?\s{{0,3}}{_UNIT}){{0,3}}"
_CLOCK = r"\d{1,3}:\d\d(?::\d\d)?(?:\.\d{1,30})?"
_ANY_TIME = rf"(?:{_CLOCK}|{_DURATION}|\d{{1,15}}(?:\.\d{{1,30}})?(?:e[+-]?\d{{1,15}})?)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = r"\d{1,2}:\d\d:\d\d"
_ROOT = (
    r"(?:home|Users|root|tmp|private|var|usr|opt|mnt|media|content|workspace|srv|scratch|kaggle)"
)
_PART = r"[^\\/\s'\"<>:|,;()\[\]]{1,255}"


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` completes "equal once … are written alike"; `hints`: one must occur at all."""

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def _last_part(found: re.Match[str]) -> str:
    last = re.split(r"[\\/]+", found[0].rstrip("\\/"))[-1]
    return "…/tmp…" if re.fullmatch(r"tmp\w{6,}", last) else f"…/{last}"


def _sorted_set(found: re.Match[str]) -> str:
    return "{" + ", ".join(sorted(found[1].split(", "))) + "}"


def _rule(
    name: str, hints: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]
) -> Rule:
    return Rule(name, tuple(hints.split("|")), re.compile(pattern), replacement)


# In this order: whole lines of tools first (they hold numbers that later rules would not know),
# then names of objects (they hold addresses), then addresses and paths, then values.
RULES: tuple[Rule, ...] = (
    # --- timings, in the forms of the tools that print them
    _rule("timings", " time", r"(?m)^[ \t]*(?:CPU times|Wall time|CPU time|Compiler *|Parser *): [^\n]*\n?", ""),
    _rule("timings", "Compiler|Parser", r"(?m)^(?:Compiler|Parser) *: \d[^\n]*\n?", ""),
    _rule("timings", "slowest run took", r"The slowest run took [^\n]*\n?(?:This could mean[^\n]*\n?)?", ""),
    _rule("timings", "per loop", r"\d[\d.,e+-]{0,30}\s?" + _UNIT + r"[^\n]{0,60}?per loop[^\n]*", "<timeit>"),
    _rule("timings", "<timeit>", r"\d[\d,]{0,15} loops?, (?:average|best) of \d{1,15}: <timeit>", "<timeit>"),
    _rule("timings", " seconds -", rf"(?m)^-+ ?{_ANY_TIME} ?seconds ?-+$", "--- … seconds ---"),
    _rule("progress bars", "<|it/s|s/it", rf"\[{_CLOCK}(?:<[^\]\n]{{0,80}})?\]", "[…]"),
    _rule("progress bars", "[", rf"\[\s{{0,4}}(\d{{1,15}}/\d{{1,15}}) {_CLOCK}(?: < {_CLOCK})?(?:, [\d.]+ it/s)?", r"[\1 …"),
    _rule("progress bars", "|", r"(\d{1,3}%)\|[^|\n]{0,400}\|", r"\1|"),
    _rule("progress bars", "[=|[>|[.", r"\[[=>.#\-]{4,400}\]", "[…]"),
    _rule("progress bars", "━", r"━{2,400}", "…"),
    _rule("progress bars", "/step|/epoch|/sample", rf"(?:{_DURATION} )?\d{{1,15}}(?:\.\d{{1,30}})?\s?[mnuµμ]?s/(?:step|epoch|sample)", "…"),
    _rule("progress bars", "ETA", rf"\bETA: *(?:{_CLOCK}|{_DURATION})", "ETA …"),
    _rule("progress bars", "] - |… - ", rf"(?m)(\[…\]|…) - {_DURATION}(?= - |\s*$)", r"\1 - …"),
    _rule("progress bars", "it/s|s/it", r"\d{1,15}(?:\.\d{1,30})?\s?(?:it/s|s/it)\b", "…it/s"),
    _rule("timings", "lapsed", rf"\b([Ee]lapsed(?:[ _]time)?(?: \([a-z]{{1,9}}\))?)(\s{{0,3}}[:=]?\s{{0,9}}){_ANY_TIME}", r"\1\2…"),
    _rule("timings", "ime", rf"\b([Tt]ime (?:elapsed|taken|spent)(?: \([a-z]{{1,9}}\))?)(\s{{0,3}}(?:[:=]|is|was)?\s{{0,9}}){_ANY_TIME}", r"\1\2…"),
    _rule("timings", "ime", rf"(?i)\b((?:execution|running|training|computation|processing|fitting|inference|run|cpu|wall)[ _-]?time(?: \([a-z]{{1,9}}\))?)(\s{{0,3}}(?:[:=]|is|was)\s{{0,9}}){_ANY_TIME}", r"\1\2…"),
    _rule("timings", "took", rf"(?i)\b((?:it|this|run|execution|training|computation|fitting|calculation|script|code|cell|loop) took(?: about)? ){_DURATION}", r"\1…"),
    _rule("timings", " in ", rf"(?m)^((?:Finished|Done|Completed|Executed|Loaded|Trained|Downloaded|Compiled|Ran)\b[^\n]{{0,80}}? in (?:about )?){_DURATION}", r"\1…"),
    # --- time stamps, in the forms that say "now" (ISO dates are data, except in log lines)
    _rule("time stamps", ":", rf"\b{_DAY},? +{_MONTH} +\d{{1,2}} +{_TIME} +(?:[A-Z]{{2,5}} +)?\d{{4}}\b", "<date>"),
    _rule("time stamps", ":", rf"\b{_MONTH} +\d{{1,2}},? +\d{{4}},? +{_TIME}\b", "<date>"),
    _rule("time stamps", "Date:", rf"\bDate:([\s|]{{1,30}}){_DAY}, +\d{{1,2}} +{_MONTH} +\d{{4}}", r"Date:\1<date>"),
    _rule("time stamps", "Time:", rf"\bTime:([\s|]{{1,30}}){_TIME}\b", r"Time:\1<time>"),
    _rule("time stamps", "ast updated", r"\b([Ll]ast updated: )[^\n]*", r"\1<date>"),
    _rule("time stamps", "INFO|WARN|DEBUG|ERROR", r"(?m)^\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?\]?(?=[^\n]{0,80}\b(?:INFO|WARN|DEBUG|ERROR))", "<date>"),
    _rule("compiler notes", "[GCC|[Clang|[MSC", r"\[(?:GCC|Clang|MSC)[^\]\n]{0,120}\]", "[compiler]"),
    # --- figures and other objects
    _rule("figure descriptions", "igure", r"<matplotlib\.figure\.Figure (?:object )?at 0x[0-9A-Fa-f]+>|<Figure size [\d.]+x[\d.]+ with \d{1,15} Axes>|(?<!\w)Figure\([\d.]+x[\d.]+\)|<IPython\.core\.display\.Image object>", "<Figure>"),
    _rule("axes descriptions", "Axes", r"<(?:[\w.]{1,80}\.)?(?:Axes|AxesSubplot|Axes3DSubplot|Axes3D|GeoAxesSubplot|PolarAxesSubplot|PolarAxes)(?:(?: object)? at 0x[0-9A-Fa-f]+|:[^>\n]{0,600})?>|(?<!\w)(?:Axes|AxesSubplot|Axes3DSubplot)\([\d.]+,[\d.]+;[\d.]+x[\d.]+\)", "<Axes>"),
    _rule("axes descriptions", "Container object", r"<(?:Bar)?Container object of", "<Container object of"),
    _rule("memory addresses", " at 0x", r"(?: object| instance)? at 0x[0-9A-Fa-f]{3,16}\b", ""),
    _rule("memory addresses", "0x", r"(<[^<>\n]{1,200}?)0x[0-9A-Fa-f]{6,16}(?=[^<>\n]{0,200}>)", r"\1…"),
    # --- places on a machine
    _rule("file locations", "ipython-input", r"<ipython-input-\d{1,15}-[0-9a-f]+>", "<cell>"),
    _rule("file locations", "ipykernel_", r"[^\s'\"]{0,200}ipykernel_\d{1,15}[\\/]\d{1,15}\.py", "<cell>"),
    _rule("file locations", "-packages", rf"(?<![\w/\\.])(?:file://)?(?:[A-Za-z]:)?(?:[\\/]{{1,2}}{_PART}){{1,40}}[\\/]{{1,2}}(?:site|dist)-packages[\\/]{{1,2}}", "…/packages/"),
    _rule("file locations", "/", rf"(?<![\w/.])(?:file://)?(?:~|/{_ROOT}(?=/))(?:/{_PART}){{1,60}}/?", _last_part),
    _rule("file locations", ":\\", rf"(?<![\w/\\.])[A-Za-z]:(?:\\{{1,2}}{_PART}){{1,60}}", _last_part),
    _rule("file locations", "Warning", r":\d{1,15}:(?= \w{0,40}Warning)", ":"),
    # --- how values are written
    _rule("memory usage", "memory usage", r"memory usage: [\d.]+\+? ?(?:[KMGT]?i?B|bytes)", "memory usage: …"),
    _rule("NumPy scalars", "np.", r"\bnp\.(?:float|int|uint|complex|longdouble|clongdouble|longlong|ulonglong|str_|bytes_|bool)\d{0,3}_?\(([^()\n]{0,2000})\)", r"\1"),
    _rule("NumPy scalars", "np.", r"\bnp\.(True|False)_\b", r"\1"),
    _rule("prompt numbers", "Out[", r"\bOut\[\d{1,15}\]", "Out[]"),
    _rule("text prefixes", "u'|u\"", r"(?<![\w'\"])u(?=['\"])", ""),
    _rule("order within sets", "{", r"(?<![\w\\$}])\{([^{}:\n=]{1,20000})\}", _sorted_set),
)  # fmt: skip

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|[@-Z\\-_])")


def as_shown(text: str) -> str:
    """Return what a terminal shows in the end: colours gone, carriage returns and backspaces obeyed."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\b" in text:
        text = _rubbed_out(text)
    if "\r" in text:
        lines = text.replace("\r\n", "\n").split("\n")
        text = "\n".join(_overwritten(line) if "\r" in line else line for line in lines)
    return text


def _rubbed_out(text: str) -> str:
    kept: list[str] = []
    for sign in text:
        if sign != "\b":
            kept.append(sign)
        elif kept and kept[-1] != "\n":
            kept.pop()
    return "".join(kept)


def _overwritten(line: str) -> str:
    parts = [part for part in line.split("\r") if part.strip()]
    return parts[-1] if parts else ""


def canonical(text: str) -> tuple[str, tuple[str, ...]]:
    """Apply the rules; return the text and the names of the rules that changed it."""
    used: list[str] = []
    shown = as_shown(text)
    if shown != text:
        used.append("terminal control codes")
    for rule in RULES:
        if any(hint in shown for hint in rule.hints):
            changed = rule.pattern.sub(rule.replacement, shown)
            if changed != shown:
                shown = changed
                used.append(rule.name)
    return shown, tuple(dict.fromkeys(used))
