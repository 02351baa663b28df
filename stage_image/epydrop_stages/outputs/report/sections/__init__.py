"""The sections of the page, one module each, with a template of the same name."""
