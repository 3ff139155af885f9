"""`pointsman backfill`: has the server keep what is new in other databases and files. A client over HTTP."""
