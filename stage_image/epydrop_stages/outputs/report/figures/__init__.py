"""The figures: drawn once, as SVG to stand in the page and as SVG and PNG files to be used elsewhere."""
