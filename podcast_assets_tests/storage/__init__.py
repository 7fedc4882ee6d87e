"""Stores in folders and buckets."""
