"""Higher-order equivariant message passing (MACE)."""
