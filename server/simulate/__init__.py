"""`posyandu-sync simulate`: sends a survey of children through a fleet of tablets over real HTTP, and checks the result.

    survey    the file -> rows
    line      the reference client's connection, which can be cut
    device    one tablet: the reference client, its store, a cadre
    fleet     the day: who records what, when, and what goes wrong
    verdict   the result, checked against database, notebooks and file

Each part imports only those above it. Posts and enrolment codes are made in the installation's database, as an operator
makes them; everything else goes to the server as from any tablet.
"""

from pathlib import Path

from server.context import AppContext
from server.simulate.fleet import Tell, send_out
from server.simulate.survey import Unusable, read_survey
from server.simulate.verdict import PromiseCheck, SimulationReport, judge

__all__ = ["PromiseCheck", "SimulationReport", "Unusable", "simulate"]


def simulate(
    file: Path, server_url: str, hub: AppContext, *, chaos: bool, seed: int, tell: Tell
) -> SimulationReport:
    """Send a survey through a fleet and check the result.

    Parameters
    ----------
    file : CSV with the columns of `survey.REQUIRED`, and date_of_birth or age_days
    server_url : where the server of this installation listens
    hub : the installation
    chaos : go offline, shuffle, repeat, cut connections, edit at once
    seed : of the chaos; what happens to each tablet is repeatable, the timing of threads is not
    tell : called with lines of progress

    Raises
    ------
    Unusable
        The file, the server or the two together cannot be used.
    """
    rows = read_survey(file)
    tell(f"{file}: {len(rows):,} rows")
    fleet = send_out(rows, server_url, hub, chaos=chaos, seed=seed, tell=tell)
    tell("checking")
    try:
        return judge(hub, fleet)
    finally:
        fleet.close()
