"""A result for people: on a terminal, as a page, as plots."""
