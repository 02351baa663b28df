"""The charts, drawn with matplotlib: each becomes SVG and PNG files, and an <svg> element for the page."""
