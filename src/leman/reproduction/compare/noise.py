"""Output that is no result: warnings, progress, logs, installers, names of objects."""

from __future__ import annotations

import re

from leman.reproduction.compare.rules import as_shown, canonical

_WARNING = re.compile(r"\b\w*Warning\b|^\s*warnings\.warn\(|^WARN", re.MULTILINE)
_LOG = re.compile(
    r"""^\s*(?:
      \[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d            # 2020-01-01 12:00:00 …
    | \[?(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|NOTE)\b
    | [IWE]\d{4}\s\d\d:\d\d:\d\d                      # glog
    | \[[IWEDC]\s\d\d:\d\d:\d\d                       # tornado
    | \d\d:\d\d:\d\d\b
    | \[Parallel\( | OMP: | Intel\sMKL | Matplotlib\sis\sbuilding | Using\s.{1,40}\sbackend
    | (?:Download|Fetch|Extract|Unpack|Load|Cloning|Saving|Writing|Reading|Cach)\w*\b
    | Failed\sto\s(?:display|load)\s.{0,40}widget
    | % \s+Total | Dload
    )""",
    re.VERBOSE,
)
_PROGRESS = re.compile(
    r"\d{1,3}%\||^\s*\d{1,3}(?:\.\d{1,9})?\s?%|\bit/s\b|\bs/it\b|\bETA\b|ms/step|s/step|━|\d{1,12}/\d{1,12}\s?\[|[#=.]{6,}|█"
)
_INSTALLER = re.compile(
    r"""^\s*(?:
      Requirement\s(?:already|up-to-date) | Collecting\s | Downloading\s | Using\scached
    | Installing\s | Successfully\s(?:installed|built|uninstalled) | Building\swheels?
    | Created\swheel | Stored\sin\sdirectory | Preparing\smetadata | Found\sexisting
    | Uninstalling\s | Attempting\suninstall | Looking\sin\s(?:indexes|links) | Defaulting\sto\suser
    | Note:\syou\smay\sneed | WARNING:\s | ERROR:\spip | You\s(?:should\sconsider|are\susing\spip)
    | \[notice\] | DEPRECATION: | Getting\srequirements | Installing\sbuild | Cloning\sinto
    | Running\s(?:setup\.py|command) | Resolved\s | Prepared\s | Installed\s\d | Audited\s
    | Reading\s(?:package|state) | Building\sdependency | Setting\sup | Unpacking | Selecting
    | Get:\d | Hit:\d | Fetched\s | Need\sto\sget | After\sthis\soperation | Processing\striggers
    | The\sfollowing\s(?:additional|NEW|packages) | \d+\supgraded
    | Solving\senvironment | Collecting\spackage\smetadata | \#\#\sPackage\sPlan
    | (?:Preparing|Verifying|Executing)\stransaction | \#\sAll\srequested
    )""",
    re.VERBOSE,
)
# Lines that nothing but an installer prints; the others above count only beside one of these.
_SURELY_INSTALLER = re.compile(
    r"^\s*(?:Requirement already|Collecting \S+|Successfully (?:installed|uninstalled)"
    r"|Installing collected|Get:\d|Reading package lists|Solving environment"
    r"|Looking in (?:index|link)"
    r"|Note: you may need to restart|Resolved \d+ package|Audited \d+ package|## Package Plan"
    r"|Found existing installation|# All requested packages|Defaulting to user installation)",
    re.MULTILINE,
)
_BAR = re.compile(r"^[\s━█▏▎▍▌▋▊▉╸|-]+[\d.]+/[\d.]+ ?[kMG]?B")
_NAMES = re.compile(r"^[\s\[\](),]*(?:<[\w.\s:…]{1,300}>[\s\[\](),]*)+(?:dtype=object[\s)]*)?$")
_MOST = 200_000


def only_chatter(text: str) -> bool:
    """Say whether text on stderr holds nothing but warnings, progress, logs and downloads.

    The lines after a warning belong to it (its message and the source line that Python shows).
    A traceback is never chatter.
    """
    text = as_shown(text[:_MOST])
    if "Traceback (most recent call last)" in text:
        return False
    warned = False
    installing = _SURELY_INSTALLER.search(text) is not None
    for line in text.splitlines():
        if not line.strip():
            continue
        if _WARNING.search(line):
            warned = True
        elif not (
            warned
            or _LOG.match(line)
            or _PROGRESS.search(line)
            or (installing and _INSTALLER.match(line))
        ):
            return False
    return True


def only_progress(text: str) -> bool:
    """Say whether text holds nothing but the state of a progress bar."""
    shown = as_shown(text[:_MOST])
    lines = [line for line in shown.splitlines() if line.strip()]
    return bool(lines) and all(_is_bar(line) for line in lines)


def _is_bar(line: str) -> bool:
    return bool(re.search(r"\d{1,3}%\|.*\|.*\d+/\d+ \[.*\]", line[:500]))


def only_installing(text: str) -> bool:
    """Say whether text is the log of an installer (pip, uv, conda, apt)."""
    shown = as_shown(text[:_MOST])
    if not _SURELY_INSTALLER.search(shown):
        return False
    lines = [line for line in shown.splitlines() if line.strip()]
    known = [bool(_INSTALLER.match(line) or _BAR.match(line)) for line in lines]
    return bool(lines) and any(known[:3]) and sum(known) >= 0.9 * len(known)


def only_names(text: str) -> bool:
    """Say whether text only names objects, as in ``[<matplotlib.lines.Line2D at 0x7f…>]``."""
    if len(text) > 20_000:
        return False
    shown = canonical(text)[0].strip()
    return not shown or _NAMES.match(shown) is not None
