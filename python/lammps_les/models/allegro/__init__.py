"""Allegro: tensors of edges, which meet the sums over the edges of the center only."""
