"""What the source knows of customers and their orders, in canonical columns, computed inside its engine."""
