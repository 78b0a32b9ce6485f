"""How a model runs: steps over memory that is allocated once."""
