"""How runs are launched, tagged, retried and monitored, and what their events show."""
