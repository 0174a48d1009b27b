"""The commands: each parses, makes one call, prints."""
