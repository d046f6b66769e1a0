-- The privileges of the role that processes use (feature `postgres`), for psql:
--
--     psql -v app=ehr_app -v schema=fullscript -f docs/postgres.sql
--
-- Run it after the SQL of `PostgresBuilder::migrations`, as the owner of the tables,
-- and again after each migration. The role needs neither ownership nor TRUNCATE, and
-- no access to other schemas.
GRANT USAGE ON SCHEMA :schema TO :app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :schema TO :app;
REVOKE INSERT, UPDATE, DELETE ON :schema.version FROM :app;
