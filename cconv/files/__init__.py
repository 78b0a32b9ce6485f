"""Files: opening, checking, writing. Nothing here knows of layers or models."""
