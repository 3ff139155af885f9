-- name: whole_table
-- Every row of a table, whose name stands in quotes.
SELECT * FROM {table};

-- name: count
-- How many rows there are to come.
SELECT count(*) FROM ({rows});
