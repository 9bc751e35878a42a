-- read_size: what the database takes on the disk; in which files it is doesn't matter
SELECT pg_database_size(current_database()), NULL
