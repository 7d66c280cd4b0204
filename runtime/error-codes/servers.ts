import type { AddressSetting } from '../address-use.ts';
import { stops, waits } from './policy.ts';

const RIGHTS = 'docs/operations.md, "Rights", lists what each role needs.';
/** Who an address is to name. */
const LOGINS = {
  LEGACY_DATABASE_URL: 'a login that may replicate and read the captured tables',
  LEGACY_OWNER_URL: 'the owner of the legacy tables',
  TARGET_DATABASE_URL: 'a login that is a member of crosswalk_projector',
  TARGET_OWNER_URL: 'the owner of the new schema',
  TARGET_OPERATOR_URL: 'a login that is a member of crosswalk_operator',
  RESTORE_DATABASE_URL: 'the owner of an empty database',
} as const satisfies Record<AddressSetting, string>;
const loginOf = (setting: string) =>
  (LOGINS as Readonly<Record<string, string>>)[setting] ?? 'the login that it is for';

/** Codes of what any server may answer, or not answer. */
export const serverCodes = {
  server_down: waits('A server does not answer, or not yet.', 'Start the server, or correct its address.', {
    again: 'It is tried again.',
    connector: 'Start the connector.',
    standby: 'It is tried again until the server is promoted; otherwise correct LEGACY_DATABASE_URL.',
    stream: 'It is opened again.',
    offset: 'It is looked up.',
    offsets:
      'The connector restarts from the stored position. If this repeats, look for another writer: only the connector may write to its topics.',
    silence: 'Look whether the brokers are up and a transaction hangs, then try again.',
    settling: 'Kafka is settling: it is tried again.',
    coordinator:
      'Look whether the brokers are up, and whether crosswalk may describe its groups and transactional id: docs/operations.md lists the rights.',
    registry: 'Start the schema registry, or correct SCHEMA_REGISTRY_URL.',
    registry_fails: "Look at the registry's log if this goes on.",
    fault: 'A test asked for it.',
  }),
  auth_failed: stops(
    'A server refused the login.',
    'Check user and password in the address, and that the server lets this user in (pg_hba.conf, SASL users).',
    { channel_binding: 'Let it ask for scram-sha-256 over TLS, or take channel_binding out of the address.' },
  ),
  tls_refused: stops(
    'A connection could not be encrypted as the address asks.',
    'Correct sslmode, the certificates, or the settings of the server.',
    {
      plain:
        'The server does not speak TLS on this port: turn TLS on there, or take sslmode / KAFKA_TLS out of the configuration.',
      disagreed:
        'Server and client agree on no TLS: check the client certificate and the protocol versions of the address, and what the server asks for.',
      name: 'Connect by a name that the certificate holds, or to PostgreSQL with sslmode=verify-ca, which checks only who signed it.',
      untrusted:
        'The certificate is not trusted: give its authority in NODE_EXTRA_CA_CERTS, or in sslrootcert of an address of PostgreSQL.',
    },
  ),
  database_missing: stops(
    'The server has no such database.',
    'Create the database, or correct its name in the address.',
  ),
  permission_denied: stops('A role lacks a right.', `Grant the right named above; ${RIGHTS}`, {
    user: ({ user }: { user: string }) => `Grant ${user} the right named above; ${RIGHTS}`,
    login: ({ setting }: { setting: AddressSetting }) => `Have ${setting} name ${loginOf(setting)}; ${RIGHTS}`,
    login_unset: ({ setting }: { setting: AddressSetting }) => `Set ${setting} to ${loginOf(setting)}; ${RIGHTS}`,
    schema_usage: ({ schemas, role }: { schemas: string; role: string }) =>
      `Run as their owner: GRANT USAGE ON SCHEMA ${schemas} TO ${role};`,
    row_security: ({ role }: { role: string }) =>
      `Run as a superuser: ALTER ROLE ${role} BYPASSRLS; or turn row-level security off for these tables.`,
    smoke:
      'Name one in LEGACY_OWNER_URL that may insert, update and delete there: the smoke test works as an application does.',
    scratch: 'Give TARGET_OWNER_URL a role with CREATEDB that reads the new schema.',
    kafka: 'Allow it to the user that crosswalk logs in as: docs/operations.md lists the rights.',
    kafka_settings: 'Allow DESCRIBE_CONFIGS on the topics: docs/operations.md lists the rights.',
    registry: 'Check SCHEMA_REGISTRY_USERNAME and _PASSWORD, and the rights of that user.',
    registry_mode: ({ path }: { path: string }) =>
      `Set it back to READWRITE: PUT ${path} with {"mode":"READWRITE"}; in Apicurio set apicurio.storage.read-only.enabled to false.`,
  }),
  port_taken: stops(
    'The port for HTTP is taken.',
    'End the process that has it, or choose another in CROSSWALK_HTTP_PORT (0: no HTTP server).',
  ),
};
