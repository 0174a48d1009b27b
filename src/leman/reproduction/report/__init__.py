"""What a run has shown, as JSON for machines and as one page for people."""
