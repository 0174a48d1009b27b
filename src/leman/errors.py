"""Everything that leman raises for a user to read.

LemanError                 exit code 2: leman could not start, or could not go on
├── UsageError             an option or argument cannot be used as given
├── ConfigError            the configuration file or LEMAN_HOME cannot be used
├── SourceError            the source was not found, not readable, or refused as unsafe
├── EnvironmentBuildError  no environment could be locked or built
│   ├── NoPythonError      no interpreter of the version that the source needs
│   └── ResolutionError    the package index has no answer to what the source needs
├── ToolError              an outside program failed; its own words are kept
├── SpaceError             the disk is full or a quota is used up
├── IsolationError         the isolation that was asked for cannot be had on this machine
└── DepositError           a server did not take a record; what it has taken stays there
"""

from __future__ import annotations


class LemanError(Exception):
    """What was found and what was expected; `hint` says what to do next."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LemanError):
    """An option or argument cannot be used as given."""


class ConfigError(LemanError):
    """The configuration file or the home folder cannot be used."""


class SourceError(LemanError):
    """The source was not found, is not readable, or was refused as unsafe."""


class EnvironmentBuildError(LemanError):
    """No environment could be locked or built."""


class NoPythonError(EnvironmentBuildError):
    """No interpreter of the version that the source needs is on this machine."""


class ResolutionError(EnvironmentBuildError):
    """The package index has no answer to what the source needs."""


class ToolError(LemanError):
    """An outside program failed; `output` keeps its own words."""

    def __init__(self, message: str, *, hint: str = "", output: str = "", code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.output = output
        self.code = code


class SpaceError(LemanError):
    """The disk is full or a quota is used up."""


class IsolationError(LemanError):
    """The isolation that was asked for cannot be had on this machine."""


class DepositError(LemanError):
    """A server did not take a record; what it has taken stays there."""
