"""Settings of the documentation; build it with `make docs`."""

from importlib.metadata import version as version_of

project = "leman"
author = "The leman developers"
copyright = author
release = version_of("leman")

extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"leman {release}"
html_copy_source = False
copybutton_prompt_text = "$ "
