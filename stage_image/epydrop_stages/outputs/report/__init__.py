"""The report: one page that needs nothing but itself, and the figures in it."""
