"""Signatures that anyone can check without leman."""
