"""Users and what their roles allow."""

import uuid
from dataclasses import dataclass
from typing import Literal

Role = Literal["reviewer", "adjudicator", "admin"]
ROLES: tuple[Role, ...] = ("reviewer", "adjudicator", "admin")
"""From the one that may least. An adjudicator may do what a reviewer may, and decide where two disagree, ask for a takedown, and
retry or discard what failed; an admin may do everything."""


@dataclass(frozen=True)
class User:
    """A user."""

    user_id: uuid.UUID
    name: str
    role: Role
    disabled: bool = False

    def may(self, role: Role) -> bool:
        """Whether the user may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)
