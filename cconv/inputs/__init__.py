"""How data comes in: checked, gathered, converted and prepared batch by batch."""
