"""Aid: who gives what to whom, what companies report, where it overlaps and where nothing is.

`words` are the codes in both languages, `rules` says what a row of a sheet is about, `reading` makes sense of its cells,
`sheets` takes a sheet in, `register` keeps donors, commitments and what is done for a village, `deliveries` what a child
got, `need` finds gap and overlap and proposes who could help, `progress` is what a donor may see.
"""
