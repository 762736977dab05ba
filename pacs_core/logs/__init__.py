"""The log of a process: entries as text or JSON, and where they go.

Its modules are imported one by one: `escaping` is wanted by commands that log nothing.
"""

# Theory of operation
#
# One handler, `NodeHandler`, is all that the root logger has. It formats in the task or thread that
# logs, since the correlation is known there, and writes at once: what has been logged before a
# process is killed is with the operating system. It never waits:
#
#   console  standard error, set to not block where the system allows. What a slow reader does not
#            take is kept up to a megabyte, and written by a thread that lives as long as there is
#            some; beyond that entries are dropped, and counted
#   file     one write of one entry in append mode, which other processes cannot come between. If it
#            fails, as on a full disk, entries go to the console until it works again
#
# Nothing is shared by the processes of a node but the file itself. Each looks before it writes
# whether the path still leads to the file that it has open, so that whoever renames it, another
# worker or logrotate, need tell nobody. Who renames holds a lock on the file that is renamed.
