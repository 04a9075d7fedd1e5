"""The weights that ship with the package: models.json names them."""
