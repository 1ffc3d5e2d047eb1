-- What came of it: aggregates for the dashboard and any BI tool, no row about one person.

create schema evaluation;
