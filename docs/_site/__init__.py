"""What makes the site of the pages in `docs/`: see `docs/conf.py`."""
