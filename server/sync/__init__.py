"""How changes come in, from tablets and from the server's own users, and how they go out to tablets.

upload            one batch of a tablet, and its answer
pull              what follows a tablet's cursor in its post's stream
tablet_chain      what is held of a tablet's changes, and whether a batch continues it
relay             sealed batches that somebody else carries
server_edits      changes by signed-in people (the actor `hub`)
pipeline          what every change goes through:
  loading           the records concerned
  judging           outcome, fold, post
  saving            rows and positions
  duplicate_search  children registered twice; then `children.assessment` derives scores and flags
streams           positions in the posts' streams
retrying          what is tried again because another writer was faster
clock_skew        how a wrong tablet clock may have moved dates. Pure
"""
