/** Next steps where the configuration, an address, or a server that it names is wrong. */
export const ofSettings = {
  environment: 'Correct it in the environment.',
  unset: ({ setting }: { setting: string }) =>
    `Set ${setting} in the environment, or start a stack with \`make up\`, which writes .crosswalk/env.`,
  setting: ({ setting, to }: { setting: string; to: string }) => `Set ${setting} to ${to}.`,
  address: 'Correct the address.',
  address_user: 'Name one in the address.',
  pooler: 'Have LEGACY_DATABASE_URL name the server itself: a pooler speaks no replication.',
  file_unreadable: ({ parameter }: { parameter: string }) =>
    `Let ${parameter} name a file that exists and that this user may read.`,
  no_pem: ({ parameter }: { parameter: string }) => `Let ${parameter} name a file in PEM.`,
  no_key: 'Let sslkey name a file in PEM, and sslpassword its passphrase.',
  key_open: 'Take that right away: chmod 600.',
  key_of_another: 'Name the files of one pair.',
  session_timeout:
    "Set CROSSWALK_SESSION_TIMEOUT_MS between the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms.",
  transaction_timeout:
    'Raise transaction.max.timeout.ms of the brokers, or lower CROSSWALK_TRANSACTION_TIMEOUT_MS to it.',
  replication_factor: 'Lower CROSSWALK_REPLICATION_FACTOR to the number of brokers, or start more of them.',
  topic_policy:
    "The brokers' policy (create.topic.policy.class.name) must allow the topics, or create them with the settings of docs/operations.md.",
  topic_settings: 'The brokers refuse a setting of the topics: create them with the settings of docs/operations.md.',
  topic_prefix: 'Choose a CROSSWALK_TOPIC_PREFIX that makes names of topics.',
  registry_address: 'Correct SCHEMA_REGISTRY_URL.',
  registry_path: 'Check SCHEMA_REGISTRY_URL: its address must end with the Confluent-compatible API.',
  registry_other:
    'Check SCHEMA_REGISTRY_URL: something else than a schema registry answers at its address, such as a login page.',
  registry_ids: 'Have the registry give ids of content (apicurio.ccompat.legacy-id-mode.enabled=false).',
  registry_keys: 'Check SCHEMA_REGISTRY_URL, and that the connector has written this topic.',
} as const;

/** Next steps where the pipeline, or a file that belongs to it, is wrong. */
export const ofPipelines = {
  config_file: 'Correct --config or CROSSWALK_CONFIG.',
  config_fails: 'Correct the file.',
  package_missing: ({ folder, name }: { folder: string; name: string }) =>
    `Run \`npm install\` in ${folder}, or \`npm install ${name}\` where its package.json does not name it.`,
  no_pipeline: 'Write `export default definePipeline({ … })`: docs/your-own-tables.md.',
  definition: 'Correct its definition.',
  declarations: 'Change their declarations.',
  no_projection: 'Export what defineProjection or defineHistory returns.',
  tenants_file: 'Correct the file: docs/mapping.md, "Pinned configuration".',
  tenants_unwritable:
    'Run this in a working copy of the project: the file belongs to the mapping, and is deployed with it.',
  tenant_undeclared: 'Declare its `tenant`, or verify without --tenant.',
  no_oracle: 'Write one: docs/verification.md, "The oracle".',
  no_sample: 'Run the demo of the pipeline that comes with crosswalk, or give yours a `sample`.',
  no_fast_check: 'Install it: npm install --save-dev fast-check@4',
} as const;
