"""What a source needs, as of its date, and the built, shared, immutable environment for it."""
