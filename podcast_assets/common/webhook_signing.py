"""Signatures of webhooks and callbacks, as Standard Webhooks specifies (https://www.standardwebhooks.com)."""

import base64
import datetime

ID, TIMESTAMP, STANDARD_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105  (only the prefix of secrets)
"""Prefix of secrets in the format of Standard Webhooks; the key follows in base64."""


def standard_secret(secret: str) -> str:
    """Convert a secret to the format of Standard Webhooks: `whsec_` and the key in base64.

    A secret with that prefix is returned unchanged. The key of any other secret is its UTF-8 bytes.
    """
    return secret if secret.startswith(SECRET_PREFIX) else SECRET_PREFIX + base64.b64encode(secret.encode()).decode()


def standard_headers(secret: str, message_id: str, body: bytes, timestamp: int) -> dict[str, str]:
    """Return the headers of Standard Webhooks.

    Args:
        secret: shared secret; see `standard_secret`.
        message_id: the same for every attempt, so that receivers recognize duplicates.
        body: the exact body of the request.
        timestamp: POSIX seconds.
    """
    moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    import standardwebhooks  # slow to import, and few runs send a webhook

    signed = standardwebhooks.Webhook(standard_secret(secret)).sign(message_id, moment, body.decode())
    return {ID: message_id, TIMESTAMP: str(timestamp), STANDARD_SIGNATURE: signed}
