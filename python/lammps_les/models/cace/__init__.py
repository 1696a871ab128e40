"""The Cartesian atomic cluster expansion (CACE)."""
