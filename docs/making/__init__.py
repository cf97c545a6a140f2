"""Makes the site of the documentation: `python -m docs.making`.

Its sources are plain Markdown: the pages of `docs/`, sections of the skills that a page names by a link, and what the
code says of itself (the reference, the configuration, the errors), which no file repeats.
"""
