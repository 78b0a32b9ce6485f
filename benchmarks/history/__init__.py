"""cconv against its own past, for asv (asv.conf.json): `asv run`, `asv publish`."""
