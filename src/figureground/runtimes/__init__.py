"""Models that `engine` does not run: our own exports for other runtimes, and other people's, described in TOML."""
