"""Stores: folders with fsync, object stores through obstore."""
