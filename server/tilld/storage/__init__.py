"""Storage in SQLite or PostgreSQL: tables, threads for reads and writes, migrations."""
