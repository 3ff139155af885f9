-- The words of texts, by id. The texts themselves are not kept, nor where in them a word stands.

-- name: make
CREATE VIRTUAL TABLE words USING fts5(word, content='', columnsize=0, detail=none, tokenize="ascii tokenchars '_'");

-- name: buffer
-- So many bytes are held back before they are merged.
INSERT INTO words (words, rank) VALUES ('hashsize', ?);

-- name: levels
-- Two parts of one size are merged: a search looks into each.
INSERT INTO words (words, rank) VALUES ('usermerge', 2);

-- name: merge
-- No more than so many pages.
INSERT INTO words (words, rank) VALUES ('merge', ?);

-- name: add
INSERT INTO words (rowid, word) VALUES (?, ?);

-- name: remove
INSERT INTO words (words, rowid, word) VALUES ('delete', ?, ?);

-- name: count
-- How many texts have a word, counted no further than a limit.
SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?);

-- name: having
SELECT rowid FROM words WHERE words MATCH ? LIMIT ?;
