"""The connections of a worker: a request is read, and its answer sent, without holding a thread.

One event loop in each worker reads requests as they arrive and hands a request to a thread only when its head and body are
complete; what the network does not take of an answer at once is sent by the loop too. So a slow line costs a place among the
connections and some memory or disk, never one of the few threads (docs/adr/0033).

    worker.py      the event loop, its deadlines and its limits; gunicorn starts it
    connection.py  one connection: where it is in its life, and until when
    request.py     bytes as they arrive -> a request that is complete, or a refusal
    chunked.py     the chunked transfer coding, decoded as it arrives
    answer.py      the socket as a thread sees it: writing to it never waits
    lanes.py       which threads answer which requests, and how many requests may wait for them
    refusals.py    what is answered to a request that does not reach the application
"""
