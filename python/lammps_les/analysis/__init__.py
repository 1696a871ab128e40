"""Comparing models with reference data."""
