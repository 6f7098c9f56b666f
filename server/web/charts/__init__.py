"""Charts as geometry: what a template needs to draw an SVG. Pure: no request, no database."""
