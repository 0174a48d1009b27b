"""What a run has shown, as JSON for machines and as one page for people."""

from leman.reproduction.report.as_html import as_html
from leman.reproduction.report.as_json import SCHEMA, as_json, schema
from leman.reproduction.report.write import read, write

__all__ = ["SCHEMA", "as_html", "as_json", "read", "schema", "write"]
