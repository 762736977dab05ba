"""The soak: a mixed load on one node while faults are injected, and an account at the end.

Theory of operation
-------------------
A :mod:`ledger <.ledger>` notes what was sent, what of it was acknowledged, and what was asked for.
Clients (:mod:`.load`) draw one piece of work after the other from a table; one injector
(:mod:`.run`) draws faults from another (:mod:`.faults`). Answers are compared with the ledger at
once. An operation may fail only while a fault was there (:class:`.trouble.Trouble`); any other
failure is a finding. At the end (:mod:`.account`) everything that was acknowledged is fetched and
compared, and what has to happen once is counted.

The first half of the time has all faults, and shows whether anything is lost. In the second half
the node itself is not killed, so that what it holds at the end (:mod:`.resources`) can be compared
with what it held at the start of that life, after some load.

A seed decides about kinds, sizes, order and faults, for each client apart; when things happen is up
to the machine.
"""
