"""The reader's page of a record: what it says of itself, for people, in one file."""

from leman.records.page.as_html import as_html

__all__ = ["as_html"]
