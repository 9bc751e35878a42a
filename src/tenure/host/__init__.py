"""Floor 2: the rooms a message walks through, in order: admission, authorization, claims, execution,
journal, fanout, settlement. Beside them: recovery, telemetry, and the host that opens them all.
"""
