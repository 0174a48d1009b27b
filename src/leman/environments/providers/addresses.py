"""What users call a repository, told apart: addresses for git, and the web pages of forges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from leman.errors import SourceError

_SHORT = {"gh": "github.com", "gl": "gitlab.com"}
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_SCP = re.compile(r"(?:[A-Za-z0-9_.-]+@)[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^\s-]\S*")  # git-clone(1)
_SCHEMES = {"https", "http", "ssh", "git", "git+https", "git+ssh"}
# Pages that show a notebook of GitHub; what follows is a path as on github.com itself.
_MIRRORS = {"nbviewer.org", "nbviewer.jupyter.org", "colab.research.google.com"}


@dataclass(frozen=True, slots=True)
class Address:
    """A repository to clone. `tail` holds ``ref/path`` of a web page, which only refs can split."""

    url: str
    ref: str = ""
    tail: str = ""


def is_git_address(spec: str) -> bool:
    """Say whether `spec` has the form of something that git could clone over a network."""
    prefix, _, rest = spec.partition(":")
    if prefix in _SHORT:
        return not rest.startswith("//")
    return urlsplit_or_none(spec) in _SCHEMES or bool(_SCP.fullmatch(spec))


def urlsplit_or_none(spec: str) -> str:
    """Return the scheme of an address, "" where there is none or it is no address."""
    try:
        return urlsplit(spec).scheme.lower() if "://" in spec else ""
    except ValueError:
        return ""


def read_address(spec: str) -> Address:
    """Return what to clone for `spec`. Raises SourceError where it is not complete or not safe."""
    prefix, _, rest = spec.partition(":")
    if prefix in _SHORT and not rest.startswith("//"):
        return _short(spec, prefix, rest)
    if _SCP.fullmatch(spec) and "://" not in spec:
        return Address(spec)
    plain = spec.removeprefix("git+")
    try:
        parts = urlsplit(plain)
        host = parts.hostname or ""
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise SourceError(f"{spec!r} is not an address: {error}") from error
    if not host or host.startswith("-") or parts.path.startswith("/-"):
        raise SourceError(f"{spec!r} names no repository", hint="Expected https://host/owner/name.")
    if parts.password is not None:
        raise SourceError(
            "the address holds a password, which would end up in logs and reports",
            hint="Leave it out and store it in git's credential helper (gitcredentials(7)).",
        )
    if parts.scheme not in {"http", "https"}:
        return Address(plain)
    segments = [unquote(part) for part in parts.path.split("/") if part]
    if host in _MIRRORS and segments[:1] == ["github"]:
        host, segments = "github.com", segments[1:]
    if host == "mybinder.org" and segments[:2] == ["v2", "gh"] and len(segments) > 4:
        return _binder(segments[2:], parts.query)
    if host == "raw.githubusercontent.com" and len(segments) > 3:
        return Address(f"https://github.com/{segments[0]}/{segments[1]}.git", "", _raw(segments))
    where = host if host in {"github.com", "www.github.com"} else parts.netloc
    return _web_page(f"{parts.scheme}://{where}", segments)


def _short(spec: str, prefix: str, rest: str) -> Address:
    """Read ``gh:owner/name``, also with ``@ref`` at its end."""
    name, _, ref = rest.partition("@")
    deeper = f"(?:/{_NAME})+" if prefix == "gl" else f"/{_NAME}"
    if not re.fullmatch(_NAME + deeper, name):
        raise SourceError(
            f"{spec!r} names no repository", hint=f"Expected {prefix}:owner/name, with --ref."
        )
    return Address(f"https://{_SHORT[prefix]}/{name.removesuffix('.git')}.git", ref)


def _binder(segments: list[str], query: str) -> Address:
    owner, name, ref = segments[:3]
    asked = parse_qs(query)
    path = next((asked[key][0] for key in ("filepath", "labpath", "urlpath") if key in asked), "")
    path = re.sub(r"^/?(lab/|notebooks?/|tree/)+", "", path) if "urlpath" in asked else path
    url = f"https://github.com/{owner}/{name}.git"
    return Address(url, "", f"{ref}/{path}") if path else Address(url, ref)


def _raw(segments: list[str]) -> str:
    rest = segments[2:]
    return "/".join(rest[2:] if rest[:2] in (["refs", "heads"], ["refs", "tags"]) else rest)


def _web_page(site: str, segments: list[str]) -> Address:
    """Tell the repository from the page: GitHub, GitLab, Bitbucket, Gitea and Forgejo."""
    for at in range(len(segments)):
        verb, rest = segments[at], segments[at + 1 :]
        if verb == "-" and at >= 2:  # GitLab puts "-" between the project and its pages
            page = _page_of(rest)
            return Address(f"{site}/{'/'.join(segments[:at])}.git", *(page or ("", "")))
        if at == 2:
            page = _page_of(segments[at:])
            if page:
                url = f"{site}/{segments[0]}/{segments[1].removesuffix('.git')}.git"
                return Address(url, *page)
    path = "/".join(segments)
    known = site.partition("://")[2] in {"github.com", "gitlab.com", "codeberg.org"}
    if known and len(segments) >= 2 and not path.endswith(".git"):
        path += ".git"
    return Address(f"{site}/{path}")


# Pages below owner/name: what names a ref, a ref with a path, or nothing of use.
_TAILS = {"tree", "blob", "raw", "blame", "edit", "src"}
_REFS = {
    ("releases", "tag"): "{}",
    ("commit",): "{}",
    ("commits",): "{}",
    ("pull",): "refs/pull/{}/head",
    ("merge_requests",): "refs/merge-requests/{}/head",
}
_OTHERS = {"releases", "issues", "wiki", "actions", "tags", "branches", "pulls"}


def _page_of(segments: list[str]) -> tuple[str, str] | None:
    """Return (ref, tail) of a forge's page, None where `segments` start with no known page."""
    head = segments[0] if segments else ""
    rest = segments[1:]
    if head == "src" and rest[:1] in (["branch"], ["tag"], ["commit"]):  # Gitea
        rest = rest[1:]
    if head in _TAILS and rest:
        return "", "/".join(rest)
    for start, ref in _REFS.items():
        if tuple(segments[: len(start)]) == start and len(segments) > len(start):
            return ref.format(segments[len(start)]), ""
    return ("", "") if head in _OTHERS else None


def file_address(spec: str) -> Path | None:
    """Return the path of a ``file://`` address on this machine, else None."""
    if urlsplit_or_none(spec) != "file":
        return None
    parts = urlsplit(spec)
    if parts.netloc not in {"", "localhost"}:
        return None
    return Path(unquote(parts.path))
