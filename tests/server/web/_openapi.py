"""Routes as the OpenAPI document writes them."""

import re


def written(route: str) -> str:
    """Write a route of a table as the description has it."""
    return re.sub(r"<(?:[^<>]*:)?([a-z_]+)>", r"{\1}", route)
