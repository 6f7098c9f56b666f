"""How changes come in, from tablets and from the server's own users, and how they go out to tablets.

upload            one batch of a tablet and the pull that follows it
relay             sealed batches that somebody else brings
server_edits      changes by signed-in people (the actor `hub`)
pipeline          what every change goes through: load -> judge -> save
duplicate_search  children registered twice, found as records arrive
clock_skew        what a wrong tablet clock may have done to dates. Pure
"""
