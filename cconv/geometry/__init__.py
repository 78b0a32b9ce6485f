"""Sizes and layouts of images, and the one choice of an algorithm: shapes alone, no memory."""
