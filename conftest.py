"""Load the hooks that every test of the repository shares."""

pytest_plugins = ["tests.plugins.left_out", "pytester"]
