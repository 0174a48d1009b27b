"""Where leman keeps things; the only module that reads environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from leman.errors import ConfigError

SETTINGS = {
    "LEMAN_CONDA_CHANNELS": "addresses of conda channels, such as conda-forge=https://… defaults=…",
    "LEMAN_DEPOSIT_TOKEN": "token for the server that `leman deposit` takes a record to",
    "LEMAN_HOME": "folder for environments, cache, keys and logs",
    "LEMAN_INDEX_URL": "package index to use instead of uv's default (a PEP 503/691 address)",
    "LEMAN_QUOTA_GB": "size that `leman env prune` brings environments and cache down to, in GB",
    "LEMAN_PYTHONS": "further folders with Python interpreters, separated by ':'",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a machine's owner has set; every field has a working default."""

    home: Path
    index_url: str = ""
    quota_gb: float = 40.0
    python_folders: tuple[Path, ...] = ()
    conda_channels: tuple[tuple[str, str], ...] = ()  # name → where it is instead
    deposit_token: str = field(default="", repr=False)  # a secret: shown by nothing

    @property
    def environments(self) -> Path:
        """The folder that holds one folder per built environment."""
        return self.home / "environments"

    @property
    def cache(self) -> Path:
        """The folder of everything that can be fetched or computed again."""
        return self.home / "cache"


def settings() -> Settings:
    """Read the settings from the process's environment variables.

    Raises ConfigError where a value cannot be used.
    """
    home = Path(os.environ.get("LEMAN_HOME") or platformdirs.user_data_dir("leman")).expanduser()
    if home.exists() and not home.is_dir():
        raise ConfigError(
            f"LEMAN_HOME is {home}, which is a file",
            hint="Set LEMAN_HOME to a folder that may be created or written to.",
        )
    quota = os.environ.get("LEMAN_QUOTA_GB", "40")
    try:
        quota_gb = float(quota)
    except ValueError:
        raise ConfigError(
            f"LEMAN_QUOTA_GB is {quota!r}, expected a number of gigabytes such as 40"
        ) from None
    folders = os.environ.get("LEMAN_PYTHONS", "")
    return Settings(
        home=home.resolve(),
        index_url=os.environ.get("LEMAN_INDEX_URL", ""),
        quota_gb=quota_gb,
        python_folders=tuple(Path(part) for part in folders.split(os.pathsep) if part),
        conda_channels=_channels(os.environ.get("LEMAN_CONDA_CHANNELS", "")),
        deposit_token=os.environ.get("LEMAN_DEPOSIT_TOKEN", ""),
    )


def _channels(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in text.split()]
    for name, _, address in pairs:
        if not name or "://" not in address:
            raise ConfigError(
                f"LEMAN_CONDA_CHANNELS has {name!r}, expected pairs such as"
                " conda-forge=https://mirror.example.org/conda-forge, separated by spaces"
            )
    return tuple((name, address) for name, _, address in pairs)
