-- What went wrong lately is found without looking at what didn't.

CREATE INDEX run_fault ON run (finished_at) WHERE state IN ('failed', 'timed_out', 'lost');
-- The same in the order of lists: as an expression, so that it and not the order of all runs is gone by.
CREATE INDEX run_fault_latest ON run ((no + 0)) WHERE state IN ('failed', 'timed_out', 'lost');
