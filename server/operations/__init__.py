"""Runs an installation: `serve`, scheduled `jobs`, `doctor`, key rotation, nightly backups and their trial restore.

Imports whatever it has to run or check; only `web.health_metrics`, `app` and `cli` import it.
"""
