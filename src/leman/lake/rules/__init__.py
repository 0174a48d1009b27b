"""Rules: how many copies shall be where, and the work that makes it so."""
