"""NequIP: messages between tensors of atoms, gated from layer to layer."""
