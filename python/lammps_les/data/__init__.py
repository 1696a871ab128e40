"""Structures and labels on their way into tensors."""
