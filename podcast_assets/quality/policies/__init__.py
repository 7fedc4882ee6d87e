"""Quality policies: named rules in TOML files that decide which segments are kept, and what a policy costs."""
