"""Reviewed texts, speakers and labels of segments, which come from the store like all other columns of theirs."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Batches with reviews are loaded again, because their versions change."""
    op.execute(
        """
        ALTER TABLE podcast_catalog.segments
            ADD COLUMN reviewed BOOLEAN,
            ADD COLUMN review_standing TEXT,
            ADD COLUMN text_reviewed TEXT,
            ADD COLUMN review_labels TEXT[],
            ADD COLUMN speaker_reviewed TEXT,
            ADD COLUMN speaker_name TEXT,
            ADD COLUMN review_flags TEXT[]
        """
    )
