"""What makes the pictures: one module per section, and the experiments they are built from."""
