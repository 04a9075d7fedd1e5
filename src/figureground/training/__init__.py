"""Training with Keras: the only part of the package that imports it."""
