"""Deposits on Zenodo and other InvenioRDM servers.

The REST API is https://inveniordm.docs.cern.ch/reference/rest_api_drafts_records: a draft with
metadata; each of its files registered, filled and committed; a DOI reserved; at last published.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from leman.errors import DepositError
from leman.records.deposit.client import Call, UnsureError
from leman.records.deposit.interface import About, Draft, Held, Stage, Upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.records.deposit.client import Client, Reply

_GONE = frozenset({404, 410})
_TRIES = 3  # of what must not be done twice; each is preceded by a look whether it was done
_ROUNDS = 12  # steps for one file; four are usual
_SETTLE = 5.0  # seconds until a server's search knows what was made just now
_QUOTA = (
    "Where it says that a limit is exceeded: ask the server's keeper for a larger quota, or"
    " publish a smaller record."
)
_GO_ON = "Run the same command again: it goes on from where it stopped."


class Step(StrEnum):
    """What is to be done next about one file."""

    REGISTER = "register"
    SEND = "send"
    COMMIT = "commit"
    REMOVE = "remove"
    NOTHING = "nothing"


def next_step(have: Held | None, upload: Upload, *, sent: bool) -> Step:
    """Compare a file as the server has it with the one that is wanted; decide, do nothing.

    `sent` says that all bytes of this very file were taken by the server before.
    """
    if have is None:
        return Step.REGISTER
    if have.complete:
        return Step.NOTHING if is_same(have, upload) else Step.REMOVE
    return Step.COMMIT if sent else Step.SEND


def is_same(have: Held, upload: Upload) -> bool:
    """Compare size and checksum; of a server that tells no checksum we can use, the size alone."""
    if have.size is not None and have.size != upload.size:
        return False
    own = own_checksum(have, upload)
    return own == have.checksum.lower() if own else have.size is not None


def own_checksum(have: Held, upload: Upload) -> str:
    """Return our checksum by the server's algorithm, "" where it names none that we know."""
    kind = have.checksum.partition(":")[0].lower()
    own = {"md5": upload.md5, "sha256": upload.sha256}.get(kind)
    if own is None and kind in hashlib.algorithms_guaranteed and not kind.startswith("shake"):
        with upload.path.open("rb") as file:
            own = hashlib.file_digest(file, kind).hexdigest()
    return f"{kind}:{own}" if own else ""


class InvenioRDM:
    """The drafts of one user on one server."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def find(self, record: str) -> tuple[Draft, ...]:
        """Return the user's deposits that bear the record's id."""
        query = {"q": f'metadata.identifiers.identifier:"{record}"', "size": "25"}
        call = Call("GET", "user/records", params=query, tolerated=frozenset({400, 403, 404}))
        reply = self.client.ask(call)
        hits = reply.get("hits")
        listed = hits.get("hits") if isinstance(hits, dict) else None
        found = [one for one in listed or [] if isinstance(one, dict) and _is_of(one, record)]
        drafts = (self.read(str(one.get("id", ""))) for one in found)
        return tuple(draft for draft in drafts if draft is not None)

    def create(self, about: About) -> Draft:
        """Make a draft. Where no answer comes, it is looked for before another is made."""
        body = {
            "access": {"record": "public", "files": "public"},
            "files": {"enabled": True},
            "metadata": about.metadata,
        }
        for _ in range(_TRIES):
            try:
                return self._draft(self.client.ask(Call("POST", "records", body, again=False)))
            except UnsureError as error:
                broken = error
                self.client.progress(f"{error.message}; looking whether the draft was made")
                self.client.pause(_SETTLE)
                if found := self.find(about.record):
                    return found[0]
        raise DepositError(f"no draft could be made: {broken.message}", hint=_GO_ON)

    def read(self, draft: str) -> Draft | None:
        """Return the draft, or the public record that it has become."""
        name = quote(draft, safe="")
        for path in (f"records/{name}/draft", f"records/{name}"):
            reply = self.client.ask(Call("GET", path, tolerated=_GONE))
            if reply.status not in _GONE:
                return self._draft(reply, published=not path.endswith("/draft"))
        return None

    def knows(self, vocabulary: str, word: str) -> bool:
        """Ask whether a controlled vocabulary has a word; a server that does not say, has it."""
        path = f"vocabularies/{vocabulary}/{quote(word, safe='')}"
        return self.client.ask(Call("GET", path, tolerated=frozenset({403, 404}))).status != 404

    def put(
        self, draft: str, upload: Upload, *, sent: bool, noted: Callable[[Stage], None]
    ) -> bool:
        """Bring a file into the draft: look, do the next step, look again."""
        damaged, ours = 0, False
        for _ in range(_ROUNDS):
            have = self._held(draft, upload.name)
            step = next_step(have, upload, sent=sent)
            if step is Step.NOTHING:
                noted(Stage.COMMITTED)
                return have is not None and bool(own_checksum(have, upload))
            if step is Step.REMOVE:
                damaged += ours  # what an earlier call sent may have been another archive
                if damaged > 1:
                    break
                self._remove(draft, upload.name)
                sent = False
            elif step is Step.REGISTER:
                self._register(draft, upload.name)
                noted(Stage.REGISTERED)
                sent = False
            elif step is Step.SEND:
                self._send(draft, upload)
                noted(Stage.UPLOADED)
                sent = ours = True
            elif not self._commit(draft, upload.name, must=ours):
                sent = False
        raise DepositError(
            f"{upload.name} did not arrive whole at {self.client.site.host}: its checksum there is"
            f" not md5:{upload.md5}",
            hint=f"Try again later; if it stays so, tell the keeper of the server. {_GO_ON}",
        )

    def prepare(self, draft: str, community: str) -> tuple[Draft, tuple[str, ...]]:
        """Reserve a DOI, unless there is one, and choose a community."""
        notes: list[str] = []
        found = self._present(draft)
        if not found.doi:
            call = Call("POST", f"{_at(draft)}/pids/doi", tolerated=frozenset({400, 403, 404, 405}))
            reply = self.client.ask(call)
            found = self._present(draft)
            if not found.doi:
                words = self.client.refusal(call, reply).message if reply.status >= 400 else ""
                notes.append(f"no DOI was reserved{f': {words}' if words else ''}")
        if community and not found.in_review:
            reply = self.client.ask(Call("GET", f"communities/{quote(community, safe='')}"))
            ask = {
                "receiver": {"community": str(reply.get("id"))},
                "type": "community-submission",
            }
            self.client.ask(Call("PUT", f"{_at(draft)}/review", ask))
            found = self._present(draft)
        return found, tuple(notes)

    def publish(self, draft: str, uploads: dict[str, str], community: str) -> Draft:
        """Publish, or submit to the community; first see that the files are still what was sent."""
        held = self._all_held(draft)
        for name, md5 in uploads.items():
            one = held.get(name)
            kind, _, value = one.checksum.partition(":") if one else ("", "", "")
            if one is None or not one.complete or (kind == "md5" and value.lower() != md5):
                raise DepositError(
                    f"{name} in the draft is no longer what was uploaded, so nothing was published",
                    hint=f"Was the draft changed by somebody? {_GO_ON}",
                )
        action = "submit-review" if community else "publish"
        call = Call("POST", f"{_at(draft)}/actions/{action}", again=False)
        for _ in range(_TRIES):
            try:
                self.client.ask(call)
                return self._present(draft)
            except UnsureError as error:
                broken = error
                self.client.progress(f"{error.message}; looking whether it was published")
                self.client.pause(_SETTLE)
                found = self._present(draft)
                if found.published or found.in_review:
                    return found
        raise DepositError(f"the draft could not be published: {broken.message}", hint=_GO_ON)

    def _present(self, draft: str) -> Draft:
        found = self.read(draft)
        if found is None:
            raise DepositError(
                f"the draft {draft} on {self.client.site.host} was deleted meanwhile",
                hint="Run the same command again to begin anew.",
            )
        return found

    def _draft(self, reply: Reply, *, published: bool = False) -> Draft:
        said = reply.content if isinstance(reply.content, dict) else {}
        identifier = said.get("id")
        if not isinstance(identifier, (str, int)) or not str(identifier):
            raise DepositError(
                f"{self.client.site.host} answered with something that is no draft",
                hint="Is it an InvenioRDM server?",
            )
        public = published or bool(said.get("is_published"))
        page = self.client.plain(str(_inside(said, "links", "self_html") or ""))
        if not page.startswith(("https://", "http://")):
            kind = "records" if public else "uploads"
            page = f"{self.client.site.url}/{kind}/{identifier}"
        return Draft(
            id=str(identifier),
            page=page,
            doi=self.client.plain(str(_inside(said, "pids", "doi", "identifier") or "")),
            published=public,
            in_review=said.get("status") == "in_review",
            complaints=self.client.complaints(said),
        )

    def _all_held(self, draft: str) -> dict[str, Held]:
        entries = self.client.ask(Call("GET", f"{_at(draft)}/files")).get("entries")
        listed = [one for one in entries or [] if isinstance(one, dict)]
        return {one.name: one for one in map(_held, listed)}

    def _held(self, draft: str, name: str) -> Held | None:
        reply = self.client.ask(Call("GET", _file(draft, name), tolerated=_GONE))
        if reply.status in _GONE:
            return None
        return _held(reply.content if isinstance(reply.content, dict) else {})

    def _register(self, draft: str, name: str) -> None:
        call = Call("POST", f"{_at(draft)}/files", [{"key": name}], tolerated=frozenset({400}))
        reply = self.client.ask(call)
        # After a broken connection the name may be taken, and by us.
        if reply.status == 400 and self._held(draft, name) is None:
            raise self.client.refusal(call, reply)

    def _send(self, draft: str, upload: Upload) -> None:
        self.client.progress(f"uploading {upload.name} ({upload.size / 1e6:.1f} MB)")
        path = f"{_file(draft, upload.name)}/content"
        call = Call("PUT", path, file=upload.path, tolerated=frozenset({400}))
        reply = self.client.ask(call)
        if reply.status == 400:
            have = self._held(draft, upload.name)
            if have is None or not have.complete:  # else an answer was lost, and all is there
                raise self.client.refusal(call, reply, _QUOTA)

    def _commit(self, draft: str, name: str, *, must: bool) -> bool:
        """Commit a file; False where bytes that were sent in an earlier call are not there."""
        call = Call(
            "POST", f"{_file(draft, name)}/commit", tolerated=frozenset({400, 404, 409, 410})
        )
        reply = self.client.ask(call)
        if reply.status < 400:
            return True
        have = self._held(draft, name)
        if have is not None and have.complete:
            return True
        if must:
            raise self.client.refusal(call, reply)
        return False

    def _remove(self, draft: str, name: str) -> None:
        self.client.progress(f"{name} on the server is another file: it is replaced")
        self.client.ask(Call("DELETE", _file(draft, name), tolerated=_GONE))


def _at(draft: str) -> str:
    return f"records/{quote(draft, safe='')}/draft"


def _file(draft: str, name: str) -> str:
    return f"{_at(draft)}/files/{quote(name, safe='')}"


def _held(entry: dict[str, Any]) -> Held:
    size = entry.get("size")
    return Held(
        name=str(entry.get("key", "")),
        complete=entry.get("status") == "completed",
        checksum=str(entry.get("checksum") or ""),
        size=int(size) if isinstance(size, (int, float)) else None,  # some say 89364.0
    )


def _is_of(hit: dict[str, Any], record: str) -> bool:
    identifiers = _inside(hit, "metadata", "identifiers")
    listed = identifiers if isinstance(identifiers, list) else []
    return any(isinstance(one, dict) and one.get("identifier") == record for one in listed)


def _inside(value: Any, *names: str) -> Any:  # noqa: ANN401 - JSON
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
