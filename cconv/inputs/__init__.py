"""How input data are checked, gathered, converted and prepared, batch by batch."""
