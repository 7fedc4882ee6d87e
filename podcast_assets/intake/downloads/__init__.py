"""Downloads: checked addresses, verified certificates, politeness per host, and resume where a transfer broke off."""
