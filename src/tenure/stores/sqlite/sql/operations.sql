-- read_size: what the database takes on the disk, and in which file it is
SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size),
    (SELECT file FROM pragma_database_list WHERE name = 'main')
