"""What supervisors check: did every post report, what was refused, what looks unusual, who had seen what.

`completeness` compares what tablets say with what is held, `syncs` counts batches and opens one, `patterns` finds unusual
ones, `months` stores completeness and patterns of each post and month, `areas` adds them up, `lineage` shows the history of
one record. Only `months` writes. Results are counters, ids and codes; only `lineage` gives values of a child, on request, to
people who may see them. Callers log every look before anything is shown.
"""
