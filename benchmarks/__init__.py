"""Measurements of leman against plain tools; `make bench` runs those of speed."""
