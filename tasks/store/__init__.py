"""PostgreSQL: the engine, the embedded server, migrations, SQL files as callables, the ledger."""
