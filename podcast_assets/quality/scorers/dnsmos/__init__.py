"""Scorer `dnsmos`: DNSMOS P.835 and P.808, with the work that overlapping windows share done once."""
