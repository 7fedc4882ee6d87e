"""How runs are launched, tagged, retried, monitored and deleted."""
