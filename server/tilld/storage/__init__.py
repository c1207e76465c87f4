"""SQLite and PostgreSQL: the tables, threads that read and write, migrations."""
