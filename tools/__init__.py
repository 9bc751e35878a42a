"""Tools of the project itself. Nothing here is part of the product."""
