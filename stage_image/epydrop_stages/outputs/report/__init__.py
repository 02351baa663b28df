"""The report: one HTML page without external files, and its figures as PNG and SVG.

Workers draw the figures of their points (``point_figures``) and summarise them (``point_summary``); ``page`` puts the
``sections`` together from these summaries.
"""
