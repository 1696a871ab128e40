"""Training of networks on energies and forces."""
