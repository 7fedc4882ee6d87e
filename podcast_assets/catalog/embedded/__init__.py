"""PostgreSQL from a wheel, for a catalog on this machine alone: nobody installs or configures a server."""
