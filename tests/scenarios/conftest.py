"""What the stories and the machines counted, told at the end of a run (of each worker's tests, too)."""

import pytest

TOLD = ("troubles", "converged")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded under the names above."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    told = [value for r in reports for name, value in getattr(r, "user_properties", ()) if name in TOLD]
    if told:
        terminalreporter.section("tablets in trouble")
        for value in sorted(set(map(str, told))):
            terminalreporter.write_line(value)
