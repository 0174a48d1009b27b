"""BagIt (RFC 8493): manifests, the files beside them, and whether they agree."""
