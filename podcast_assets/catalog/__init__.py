"""Catalog: the PostgreSQL database for people, which can be rebuilt from the store and the decisions.

What belongs here: its tables and migrations, the server that needs no installation, loading and search. What does not: the data
themselves, which are in the store (`store`), and pages that show them.
"""
