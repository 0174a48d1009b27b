"""Opening, migrating, backing up; accounts, passwords and tokens."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from leman.lake.catalogue import Account, NewDID, migrations, open_catalogue
from leman.lake.catalogue.database import connect
from leman.lake.catalogue.migrations import bring_up_to_date, version
from leman.lake.interface import unheard
from leman.lake.model import DID, DIDType, LakeError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from leman.lake.catalogue import Catalogue


def refused(url: str) -> LakeError:
    """Open in vain; return what was said."""
    with pytest.raises(LakeError) as caught:
        open_catalogue(url)
    assert caught.value.kind == "DatabaseException"
    return caught.value


def test_a_catalogue_is_made_once_and_opened_again(url: str) -> None:
    """What was added is there again, and only root has an account at first."""
    with open_catalogue(url) as catalogue:
        assert [one.name for one in catalogue.accounts.all()] == ["root"]
        catalogue.scopes.add("s", "root")
        catalogue.dids.add([NewDID(DID("s", "x"), DIDType.DATASET)], account="root")
    with open_catalogue(url) as catalogue:
        assert [str(one.did) for one in catalogue.dids.find("s")] == ["s:x"]


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds hashes of passwords."""
    open_catalogue(f"sqlite:///{tmp_path}/c.sqlite").close()
    assert stat.S_IMODE((tmp_path / "c.sqlite").stat().st_mode) == 0o600


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """No URL, another kind of database, something else in the file, no such server."""
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE dids (x)").connection.close()
    (tmp_path / "text").write_text("not a database at all, but long enough to be read as one" * 50)
    for url in (
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://x/y",
        f"sqlite:///{tmp_path}",
        f"sqlite:///{tmp_path}/text",
        f"sqlite:///{other}",
        f"postgresql://leman:secret@/nowhere?host={tmp_path}",
    ):
        error = refused(url)
        assert "secret" not in f"{error}{error.hint}"
    assert (tmp_path / "text").read_text().startswith("not a database")


def test_a_newer_version_is_refused(url: str) -> None:
    """A catalogue of a newer leman is left alone."""
    with open_catalogue(url):
        pass
    database = connect(url)
    with database.writing() as transaction:
        transaction.connection.execute(text("UPDATE schema_version SET version = 99"))
    assert "99" in refused(url).message
    assert version(database) == 99
    database.engine.dispose()


def add_column(connection: Connection) -> None:
    """Be a step that works."""
    connection.execute(text("ALTER TABLE dids ADD COLUMN colour VARCHAR(9)"))


def fail(connection: Connection) -> None:
    """Be a step that fails half-way."""
    connection.execute(text("DROP TABLE transfers"))
    raise LakeError("DatabaseException", "this step fails")


def test_a_migration_backs_up_first_and_is_whole_or_not_at_all(url: str) -> None:
    """A step that fails leaves the old version; one that works leads to the new one, once."""
    with open_catalogue(url) as catalogue:
        catalogue.scopes.add("kept", "root")
    database = connect(url)
    pages: list[int] = []
    with pytest.raises(LakeError, match="this step fails"):
        bring_up_to_date(database, progress=unheard, steps={2: add_column, 3: fail})
    assert version(database) == migrations.newest(migrations.STEPS)
    with database.reading() as connection:
        connection.execute(text("SELECT count(*) FROM transfers"))
    backup = bring_up_to_date(
        database, progress=lambda done, _: pages.append(done), steps={2: add_column}
    )
    assert version(database) == 2
    assert bring_up_to_date(database, progress=unheard, steps={2: add_column}) is None
    with database.reading() as connection:
        connection.execute(text("SELECT colour FROM dids"))
    database.engine.dispose()
    if not database.is_sqlite:
        assert backup is None
        return
    assert backup
    assert pages
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with open_catalogue(f"sqlite:///{backup}") as old:
        assert old.scopes.owners() == {"kept": "root"}


def test_processes_that_start_together_make_one_catalogue(url: str) -> None:
    """Four open an empty database at once; each finds a catalogue."""
    code = (
        "import sys; from leman.lake.catalogue import open_catalogue as o; o(sys.argv[1]).close()"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [one.wait() for one in started] == [0] * 4
    with open_catalogue(url) as catalogue:
        assert [one.name for one in catalogue.accounts.all()] == ["root"]


def test_a_backup_is_a_catalogue(catalogue: Catalogue, tmp_path: Path) -> None:
    """SQLite is copied while in use; PostgreSQL has tools of its own."""
    target = tmp_path / "copy.sqlite"
    if "sqlite" not in str(catalogue._database.engine.url):
        with pytest.raises(LakeError, match="PostgreSQL"):
            catalogue.back_up(target)
        return
    catalogue.back_up(target)
    with open_catalogue(f"sqlite:///{target}") as copy:
        assert copy.scopes.owners("ada") == {"user.ada": "ada"}
    assert sorted(path.name for path in tmp_path.glob("*partial*")) == []


def test_passwords_are_checked_and_never_kept(catalogue: Catalogue, url: str) -> None:
    """The right one gives the accounts; a wrong one, and a name nobody has, read the same."""
    catalogue.identities.set_password("ada@example.org", "correct horse")
    catalogue.identities.link("ada@example.org", "ada")
    assert catalogue.identities.check("ada@example.org", "correct horse") == ("ada",)
    told = set()
    for name, word in (("ada@example.org", "wrong"), ("nobody", "correct horse"), ("", "")):
        with pytest.raises(LakeError) as caught:
            catalogue.identities.check(name, word)
        told.add((caught.value.kind, caught.value.message))
    assert len(told) == 1
    with catalogue._database.reading() as connection:
        kept = connection.execute(text("SELECT hash FROM identities")).scalar_one()
    assert kept.startswith("$argon2id$")
    assert "correct horse" not in kept
    for name, word in (("x" * 251, "long enough"), ("x", "short")):
        with pytest.raises(LakeError, match=r"password|user name"):
            catalogue.identities.set_password(name, word)
    catalogue.identities.delete("ada@example.org")
    with pytest.raises(LakeError, match="wrong"):
        catalogue.identities.check("ada@example.org", "correct horse")
    assert url


def test_tokens_end(catalogue: Catalogue) -> None:
    """By time, when revoked, with another password, and when the account is closed."""
    catalogue.identities.set_password("ada", "correct horse")

    def issue(hours: int = 1) -> str:
        return catalogue.tokens.issue("ada", "ada", timedelta(hours=hours))[0]

    def ended(token: str) -> bool:
        try:
            return catalogue.tokens.check(token).account != "ada"
        except LakeError as error:
            return error.kind == "CannotAuthenticate"

    first, second, old = issue(), issue(), issue(-1)
    assert not ended(first)
    assert ended(old)
    assert ended("no token\ud800")
    catalogue.tokens.revoke(first)
    assert ended(first)
    assert not ended(second)
    assert catalogue.tokens.purge(datetime.now(UTC)) == 1
    catalogue.identities.set_password("ada", "battery staple")
    assert ended(second)
    third = issue()
    catalogue.accounts.update("ada", active=False)
    assert ended(third)
    with pytest.raises(LakeError, match="closed"):
        issue()
    with catalogue._database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM tokens")).scalar_one() == 0


def test_accounts_and_scopes_have_one_name_once(catalogue: Catalogue) -> None:
    """Taken names, names outside the schema, and owners that are not there are refused."""
    assert catalogue.accounts.get("ada").created
    for change, kind in (
        (lambda: catalogue.accounts.add(Account("ada")), "Duplicate"),
        (lambda: catalogue.accounts.add(Account("Ada!")), "InvalidObject"),
        (lambda: catalogue.accounts.add(Account("x", "KING")), "InvalidObject"),
        (lambda: catalogue.accounts.get("bob"), "AccountNotFound"),
        (lambda: catalogue.accounts.update("bob", admin=True), "AccountNotFound"),
        (lambda: catalogue.accounts.update("ada", name="x"), "InvalidObject"),
        (lambda: catalogue.scopes.add("user.ada", "ada"), "Duplicate"),
        (lambda: catalogue.scopes.add("a b", "ada"), "InvalidObject"),
        (lambda: catalogue.scopes.add("new", "bob"), "AccountNotFound"),
        (lambda: catalogue.identities.link("nobody", "ada"), "IdentityNotFound"),
    ):
        with pytest.raises(LakeError) as caught:
            change()
        assert caught.value.kind == kind
