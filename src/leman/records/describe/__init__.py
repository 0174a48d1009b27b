"""What a record says of itself: who made it, what it is, under which licence.

Read from what authors already keep in their repositories; what the user gives by hand wins.
"""

from __future__ import annotations

from leman.records.describe.describe import Wishes, describe, mistakes

__all__ = ["Wishes", "describe", "mistakes"]
