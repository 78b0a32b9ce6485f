"""Files: opening, checking, writing. Nothing here knows about layers or models."""
