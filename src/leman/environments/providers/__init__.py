"""Where a source comes from: one file per kind of place."""
