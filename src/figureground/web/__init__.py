"""The page that controls `live`, and the server behind it (docs/serve.md)."""
