"""Keeping records: OCFL stores on several storages, audited and repaired over every byte."""
