"""Run notebooks in the environment of their date, compare every output, tell why."""
