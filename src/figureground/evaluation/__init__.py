"""How good a model is: metrics, and a report per source."""
