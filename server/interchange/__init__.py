"""Files of the outside world, one module for each format. Rules of growth and merging live below."""
