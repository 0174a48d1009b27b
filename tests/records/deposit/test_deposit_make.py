"""A record's way into a draft."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from deposited_record import facts, record
from depositing import Depositor, whole
from invenio_server import OTHER, READER, TOKEN, WRITER, Server

from leman.environments.providers.unpack import unpack
from leman.errors import DepositError
from leman.records.bag.check import Contents, check
from leman.records.deposit.state import alone
from leman.records.layout import TAG_MANIFEST
from leman.records.model import Reference

ARCHIVE = r"leman-record-[0-9a-f]{12}\.zip"
HERE = Path(__file__).parent


def test_a_record_becomes_a_draft_with_all_its_files(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """One archive, two pages and their checksums lie in a draft with a DOI; nothing is public."""
    made = ada.deposit(bag)
    assert whole(server)
    assert made.draft.doi == server.only.doi != ""
    assert made.draft.page == f"{server.url}/uploads/{server.only.id}"
    assert not made.resumed
    assert not server.only.published
    assert server.count("POST", "publish") == 0
    assert not ada.waits


def test_the_archive_unpacks_to_a_record_that_is_intact(
    ada: Depositor, server: Server, bag: Path, tmp_path: Path
) -> None:
    """What a reader downloads unpacks to the same record, with its executables and odd names."""
    made = ada.deposit(bag)
    archive = tmp_path / made.uploads[0].name
    archive.write_bytes(server.only.files[archive.name].content or b"")
    tree = tmp_path / "unpacked"
    tree.mkdir()
    unpack(archive, tree)
    assert not list(check(tree, Contents()))
    assert (tree / TAG_MANIFEST).read_bytes() == (bag / TAG_MANIFEST).read_bytes()
    assert (tree / "data/source/run.sh").stat().st_mode & 0o111
    assert not (tree / "data/source/a.ipynb").stat().st_mode & 0o111


def test_signatures_and_stamps_are_in_the_archive(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """The folders that grow are packed as well."""
    (bag / "signatures").mkdir()
    (bag / "signatures" / "ada.sshsig").write_text("x")
    made = ada.deposit(bag)
    names = zipfile.ZipFile(_saved(server, made.uploads[0].name, bag.parent)).namelist()
    assert any(name.endswith("/signatures/ada.sshsig") for name in names)


def _saved(server: Server, name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(server.only.files[name].content or b"")
    return path


def test_a_record_that_is_not_intact_is_refused(ada: Depositor, server: Server, bag: Path) -> None:
    """A changed file is named, and the server is not even asked."""
    (bag / "data/source/a.ipynb").write_text("{}")
    with pytest.raises(DepositError, match=r"a\.ipynb: its SHA-256"):
        ada.deposit(bag)
    assert not server.asked


def test_a_bag_of_another_format_is_refused(ada: Depositor, tmp_path: Path) -> None:
    """A bag whose facts are not of our format is no record that could be described."""
    bag = record(tmp_path / "odd", {"format": "leman-record/9"})
    with pytest.raises(DepositError, match="leman-record/1"):
        ada.deposit(bag)


def test_a_second_deposit_uses_the_same_draft_and_sends_nothing(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """Depositing again changes nothing: one draft, each file uploaded once."""
    first = ada.deposit(bag)
    again = ada.deposit(bag)
    assert again.draft.id == first.draft.id
    assert again.resumed
    assert server.count("PUT", "content") == 4
    assert server.count("POST", r"pids/doi") == 1


def test_what_the_user_edited_in_the_draft_stays(ada: Depositor, server: Server, bag: Path) -> None:
    """Going on with a draft never overwrites its description."""
    ada.deposit(bag)
    server.only.metadata["title"] = "Corrected"
    ada.deposit(bag)
    assert server.only.metadata["title"] == "Corrected"


def test_a_draft_is_found_without_the_state_file(
    ada: Depositor, server: Server, bag: Path, tmp_path: Path
) -> None:
    """From another machine, or with a damaged state file, the draft on the server is used."""
    ada.deposit(bag)
    ada.states[0].write_text('{"format": "leman-deposit/1", "files": 3')
    ada.deposit(bag)
    assert Depositor(server, tmp_path / "elsewhere").deposit(bag).resumed
    assert whole(server)
    assert server.count("PUT", "content") == 4


def test_another_users_draft_of_the_record_is_not_touched(
    ada: Depositor, server: Server, bag: Path, tmp_path: Path
) -> None:
    """Two users who deposit the same record get a draft each."""
    ada.deposit(bag)
    Depositor(server, tmp_path / "other", OTHER).deposit(bag)
    assert {one.owner for one in server.kept.values()} == {TOKEN, OTHER}


def test_new_makes_another_draft(ada: Depositor, server: Server, bag: Path) -> None:
    """`new` makes a second draft, which later calls go on with."""
    ada.deposit(bag)
    made = ada.deposit(bag, new=True)
    assert len(server.kept) == 2
    assert not made.resumed
    assert ada.deposit(bag).draft.id == made.draft.id


def test_a_deleted_draft_is_told_and_made_anew(ada: Depositor, server: Server, bag: Path) -> None:
    """A draft that its owner deleted is said to be gone; all files go into a new one."""
    ada.deposit(bag)
    server.kept.clear()
    made = ada.deposit(bag)
    assert any("gone from the server" in note for note in made.notes)
    assert whole(server)


def test_a_draft_deleted_while_files_are_sent_is_told(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """A draft that vanishes midway ends the deposit with what to do; the next one succeeds."""
    server.fail("PUT", "report.html/content", "then", then=server.kept.clear)
    with pytest.raises(DepositError, match="404") as told:
        ada.deposit(bag)
    assert "run the command again" in told.value.hint
    ada.deposit(bag)
    assert whole(server)


def test_a_published_record_is_not_deposited_again(
    ada: Depositor, server: Server, bag: Path, tmp_path: Path
) -> None:
    """What is public already is named with its DOI, with and without a state file."""
    ada.publish(ada.deposit(bag))
    for one in (ada, Depositor(server, tmp_path / "elsewhere")):
        with pytest.raises(DepositError, match=r"public there already.*10\.5072") as told:
            one.deposit(bag)
        assert "--new" in told.value.hint
    assert len(server.kept) == 1


def test_publish_makes_the_draft_public(ada: Depositor, server: Server, bag: Path) -> None:
    """Publishing gives the page and the DOI of the public record."""
    made = ada.deposit(bag)
    public = ada.publish(made)
    assert public.published
    assert public.doi == made.draft.doi
    assert public.page == f"{server.url}/records/{server.only.id}"
    assert json.loads(ada.states[0].read_text())["published"] is True


def test_a_publish_whose_answer_is_lost_is_not_done_twice(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """Where the line breaks after publishing, the server is asked whether it was done."""
    made = ada.deposit(bag)
    server.fail("POST", "actions/publish", "lost")
    assert ada.publish(made).published
    assert server.count("POST", "actions/publish") == 1


def test_a_publish_that_failed_is_tried_again(ada: Depositor, server: Server, bag: Path) -> None:
    """Where the server broke before publishing, it is asked once more."""
    made = ada.deposit(bag)
    server.fail("POST", "actions/publish", status=502)
    assert ada.publish(made).published
    assert server.count("POST", "actions/publish") == 2


def test_the_servers_objections_to_publishing_are_shown(
    ada: Depositor, server: Server, tmp_path: Path
) -> None:
    """A record without authors is a draft with a note; publishing it shows the server's words."""
    bag = record(tmp_path / "nobody", facts(authors=[]))
    made = ada.deposit(bag)
    assert any("metadata.creators: Missing data" in note for note in made.notes)
    assert any("names no author" in note for note in made.notes)
    with pytest.raises(DepositError, match=r"metadata\.creators: Missing data"):
        ada.publish(made)
    assert not server.only.published


def test_files_that_were_changed_on_the_server_are_not_published(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """Before publishing, the draft's files are compared once more with what was uploaded."""
    made = ada.deposit(bag)
    server.only.files[made.uploads[0].name].content = b"other"
    with pytest.raises(DepositError, match="no longer what was uploaded"):
        ada.publish(made)
    assert not server.only.published


def test_a_community_is_asked_and_not_bypassed(ada: Depositor, server: Server, bag: Path) -> None:
    """A community named by its slug gets the draft to review; publishing submits it."""
    made = ada.deposit(bag, community="sunspots")
    assert server.only.review == "9e3d-uuid-of-sunspots"
    assert not server.only.in_review
    submitted = ada.publish(made, community="sunspots")
    assert submitted.in_review
    assert not submitted.published
    with pytest.raises(DepositError, match="waits for its community"):
        ada.deposit(bag)


def test_an_unknown_community_is_told_with_all_files_kept(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """A mistyped community ends the deposit; corrected, it goes on and sends nothing again."""
    with pytest.raises(DepositError, match="communities/moonspots"):
        ada.deposit(bag, community="moonspots")
    ada.deposit(bag, community="sunspots")
    assert server.count("PUT", "content") == 4


def test_a_signature_added_later_replaces_the_archive(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """A record that grew has the same id: its draft gets the new archive, and keeps the pages."""
    ada.deposit(bag)
    (bag / "signatures").mkdir()
    (bag / "signatures" / "ada.sshsig").write_text("x")
    made = ada.deposit(bag)
    assert made.resumed
    assert whole(server)
    assert server.count("PUT", "content") == 6  # the archive and the checksums a second time


def test_a_committed_file_whose_bytes_were_sent_is_only_committed(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """Stopped between upload and commit, a deposit goes on with the commit."""
    server.fail("POST", f"{ARCHIVE}/commit", status=429, headers={"Retry-After": "900"})
    with pytest.raises(DepositError):
        ada.deposit(bag)
    ada.deposit(bag)
    assert whole(server)
    assert server.count("PUT", f"{ARCHIVE}/content") == 1


def test_bytes_that_the_server_forgot_are_sent_again(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """Where the server lost what was uploaded but not committed, it is uploaded again."""
    server.fail("POST", f"{ARCHIVE}/commit", status=429, headers={"Retry-After": "900"})
    with pytest.raises(DepositError):
        ada.deposit(bag)
    for file in server.only.files.values():
        file.content = None
    ada.deposit(bag)
    assert whole(server)


def test_no_doi_is_no_failure(ada: Depositor, server: Server, bag: Path) -> None:
    """A server that reserves no DOI gives a draft without one, and a note."""
    server.dois = False
    made = ada.deposit(bag)
    assert made.draft.doi == ""
    assert any("no DOI was reserved" in note for note in made.notes)


def test_a_server_that_cannot_be_searched_is_no_failure(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """Where the token may not list drafts, the state file alone says which one is ours."""
    server.searchable = False
    ada.deposit(bag)
    assert ada.deposit(bag).resumed
    assert len(server.kept) == 1


def test_files_that_are_elsewhere_are_named(ada: Depositor, tmp_path: Path) -> None:
    """A record that refers to files outside says how many are not in its archive."""
    there = Reference("data/source/big.bin", "https://example.org/big", 9, "0" * 64)
    made = ada.deposit(record(tmp_path / "thin", elsewhere=(there,)))
    assert any("1 files are named by address" in note for note in made.notes)


def test_two_deposits_of_one_record_at_a_time_are_refused(
    ada: Depositor, server: Server, bag: Path
) -> None:
    """A second process is told that the first one is at work, and makes no draft."""
    ada.deposit(bag)
    with alone(ada.states[0]), pytest.raises(DepositError, match="another leman"):
        ada.deposit(bag)
    assert len(server.kept) == 1


def test_no_state_or_word_holds_the_token(ada: Depositor, server: Server, bag: Path) -> None:
    """The state is its owner's alone to read; no file of the home and no message has the token."""
    server.fail("POST", "pids/doi", status=400, message=f"no {TOKEN} here \x1b[31m")
    made = ada.deposit(bag)
    assert server.seen_tokens == {f"Bearer {TOKEN}"}
    for path in ada.home.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()
    assert ada.states[0].stat().st_mode & 0o777 == 0o600
    assert TOKEN not in "".join([*ada.told, *made.notes, repr(made)])
    assert "\x1b" not in "".join(made.notes)
    assert TOKEN not in repr(ada.client().site)


def test_nothing_but_states_is_left_in_the_home(ada: Depositor, server: Server, bag: Path) -> None:
    """The archive that is packed for the upload is removed, also after a failure."""
    server.fail("PUT", "content", status=413, kind="early")
    with pytest.raises(DepositError):
        ada.deposit(bag)
    ada.deposit(bag)
    left = {path.suffix for path in (ada.home / "records" / "deposits").iterdir()}
    assert left <= {".json", ".lock"}


@pytest.mark.parametrize(
    ("token", "words"),
    [("wrong", "does not know this token"), (READER, "deposit:write"), (WRITER, "deposit:actions")],
)
def test_a_token_that_does_not_suffice_is_explained(
    ada: Depositor, bag: Path, token: str, words: str
) -> None:
    """401 and 403 say what is wrong with the token and which scope it needs."""
    ada.token = token
    with pytest.raises(DepositError) as told:
        ada.publish(ada.deposit(bag))
    assert words in told.value.hint
    assert token not in told.value.message + told.value.hint or token == "wrong"


def test_a_file_beyond_the_quota_is_explained(ada: Depositor, server: Server, bag: Path) -> None:
    """A quota that is exceeded is shown in the server's words, with what to do."""
    server.quota = 100
    with pytest.raises(DepositError, match="quota exceeded") as told:
        ada.deposit(bag)
    assert "larger quota" in told.value.hint


def test_a_refusal_before_the_body_is_read_is_understood(
    ada: Depositor, server: Server, tmp_path: Path
) -> None:
    """A 413 that comes while a large file is still being sent is told as such."""
    bag = record(tmp_path / "large", extra={"blob.bin": bytes(300_000)})
    server.fail("PUT", f"{ARCHIVE}/content", "early", status=413, message="too large", times=9)
    with pytest.raises(DepositError, match=r"413|could not be reached") as told:
        ada.deposit(bag)
    if "413" in told.value.message:
        assert "larger than the server takes" in told.value.hint
