"""What a supervisor asks: did every post report, what was refused, what looks odd, who had seen what. Reads only, but for
`months`.

`syncs` counts batches and opens one, `patterns` finds what somebody should look at, `months` has that of each post, and how
complete its month is, worked out before it is asked; `areas` adds it up, `lineage` draws who had seen what of one record.
Counters, ids and codes; values of a child only where `lineage` is asked for them by somebody who may see them, and then it
is logged. Whoever looks is logged by the caller before anything is shown.
"""
