"""Running the installation: the newest run of each scheduled job."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from server.database.models.columns import Base, Moment


class JobRun(Base):
    """The newest run of a scheduled job."""

    __tablename__ = "job_run"
    district: Mapped[str] = mapped_column(Text, primary_key=True)
    job: Mapped[str] = mapped_column(Text, primary_key=True)
    ran_at: Mapped[datetime] = mapped_column(Moment)
    result: Mapped[str] = mapped_column(Text)
