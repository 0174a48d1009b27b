"""What a source declares that it needs: REES files, locks, notebooks, commands, all read only."""

from leman.environments.detect.codes import FINDING_CODES
from leman.environments.detect.declare import declared
from leman.environments.detect.figures import (
    before_names,
    drawn_between,
    inline_limit,
    stored_figures,
)
from leman.environments.detect.readme import readme_hints, readme_python
from leman.environments.detect.stored import stored_python, stored_versions
from leman.environments.detect.tree import notebook_files

__all__ = [
    "FINDING_CODES",
    "before_names",
    "declared",
    "drawn_between",
    "inline_limit",
    "notebook_files",
    "readme_hints",
    "readme_python",
    "stored_figures",
    "stored_python",
    "stored_versions",
]
