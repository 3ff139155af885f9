-- Each row carries a checksum over all it holds, written with it and compared when it is read (rows.py).
-- Rows of earlier versions get theirs in this step too, as they are found, but part by part (queries.py).
ALTER TABLE events ADD COLUMN checksum INTEGER;
ALTER TABLE learned ADD COLUMN checksum INTEGER;
