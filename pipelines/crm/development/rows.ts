import { uuid5 } from '../../../projectors/values/uuid5.ts';

/** A cell: a PostgreSQL parameter, a time before now (negative: after now), or the first day of an earlier month. */
export type DevelopmentCell =
  | string
  | number
  | boolean
  | readonly string[]
  | { readonly daysAgo: number }
  | { readonly monthsAgo: number };
export type DevelopmentRow = Readonly<Record<string, DevelopmentCell>>;

interface Person {
  readonly name: string;
  readonly phone: string;
  readonly email: string;
}

/** Phone numbers reserved for fiction: 555-0100 to 555-0199. */
const CONTACTS: readonly Person[] = [
  { name: 'Ada Marsh', phone: '+12065550101', email: 'ada.marsh@example.com' },
  { name: 'Ben Okafor', phone: '+12065550102', email: 'ben.okafor@example.com' },
  { name: 'Carla Nunez', phone: '+12065550103', email: 'carla.nunez@example.com' },
  { name: 'Dmitri Volkov', phone: '+12065550104', email: 'dmitri.volkov@example.com' },
  { name: 'Elif Kaya', phone: '+12065550105', email: 'elif.kaya@example.com' },
  { name: 'Farid Haddad', phone: '+12065550106', email: 'farid.haddad@example.com' },
  { name: 'Grace Lim', phone: '+12065550107', email: 'grace.lim@example.com' },
];
const CUSTOMERS: readonly Person[] = [
  { name: 'Hill Street Bakery', phone: '+12065550111', email: 'office@bakery.example.com' },
  { name: 'Ivy Dental', phone: '+12065550112', email: 'office@dental.example.com' },
  { name: 'Juniper Books', phone: '+12065550113', email: 'office@books.example.com' },
];
const STATUSES = ['new', 'contacted', 'qualified', 'nurturing', 'proposal', 'lost', 'unqualified'];
const CUSTOMER_STATUSES = ['new', 'won', 'converted'];

/** Rows of a tenant by table, parents first. Their ids depend only on the tenant. */
export function toDevelopmentRows(tenant: string): readonly (readonly [string, readonly DevelopmentRow[]])[] {
  const idOf = (what: string) => uuid5(`development:${tenant}:${what}`);
  const leads = [
    ...CONTACTS.map(({ phone }, at) => ({
      ...{ id: idOf(`lead ${at}`), contact_id: idOf(`contact ${at}`), phone, status: STATUSES[at]! },
      ...{ lead_source: at % 2 === 0 ? 'website' : 'referral', lead_score: 15 * at, tags: at < 2 ? ['hot'] : [] },
      created_at: { daysAgo: 40 - 5 * at },
    })),
    ...CUSTOMERS.map(({ name, phone, email }, at) => ({
      ...{ id: idOf(`lead ${CONTACTS.length + at}`), customer_id: idOf(`customer ${at}`), name, phone, email },
      ...{ status: CUSTOMER_STATUSES[at]!, lead_source: 'trade fair', lead_score: 60 + 15 * at, tags: ['business'] },
      created_at: { daysAgo: 20 - 5 * at },
      ...(CUSTOMER_STATUSES[at] === 'converted'
        ? { is_converted: true, converted_to_client_id: idOf(`customer ${at}`), conversion_date: { daysAgo: 2 } }
        : {}),
    })),
  ];
  const sequences = [
    {
      ...{ id: idOf('sequence 0'), name: 'Welcome', description: 'Three messages after the first contact' },
      ...{ channels: ['email', 'sms'], triggers: JSON.stringify([{ on: 'lead_created' }]) },
      steps: JSON.stringify([
        { day: 0, channel: 'email', template: 'welcome' },
        { day: 2, channel: 'sms', template: 'any-questions' },
        { day: 7, channel: 'email', template: 'offer' },
      ]),
    },
    {
      ...{ id: idOf('sequence 1'), name: 'Win back', description: 'For leads that went quiet' },
      ...{ channels: ['email', 'call'], triggers: JSON.stringify([{ on: 'no_reply', days: 30 }]) },
      steps: JSON.stringify([
        { day: 0, channel: 'email', template: 'still-interested' },
        { day: 5, channel: 'call', template: 'call-back' },
      ]),
    },
  ];
  return [
    ['tenants', [{ id: tenant, name: 'Development' }]],
    [
      'contacts',
      CONTACTS.map(({ name, phone, email }, at) => ({
        ...{ id: idOf(`contact ${at}`), user_id: 1, chatbot_id: 1, workspace_id: tenant, name, email },
        ...{ phone_number: phone, phone_e164: phone },
      })),
    ],
    [
      'customers',
      CUSTOMERS.map(({ name, phone, email }, at) => ({
        ...{ id: idOf(`customer ${at}`), name, email, phone_raw: phone, phone_e164: phone },
      })),
    ],
    ['leads', leads],
    [
      'dnc_list',
      [
        {
          ...{ id: idOf('dnc 0'), identity: '+12065550010', identity_kind: 'phone', source: 'person' },
          ...{ reason: 'asked on the phone', opted_out_at: { daysAgo: 10 } },
        },
        {
          ...{ id: idOf('dnc 1'), identity: 'no.more@example.com', identity_kind: 'email', source: 'ai' },
          ...{ reason: 'wrote "stop"', opted_out_at: { daysAgo: 3 }, expires_at: { daysAgo: -365 } },
        },
      ],
    ],
    ['nurture_sequences', sequences],
    [
      'lead_sequence_enrollments',
      [
        {
          ...{ id: idOf('enrollment 0'), lead_id: leads[1]!.id, sequence_id: idOf('sequence 0'), current_step: 1 },
          next_step_at: { daysAgo: -1 },
        },
        {
          ...{ id: idOf('enrollment 1'), lead_id: leads[3]!.id, sequence_id: idOf('sequence 1'), current_step: 2 },
          ...{ status: 'completed', completed_at: { daysAgo: 1 } },
        },
      ],
    ],
    [
      'lead_status_history',
      [
        {
          ...{ id: idOf('status 0'), lead_id: leads[1]!.id, from_status: 'new', to_status: 'contacted' },
          changed_at: { daysAgo: 30 },
        },
        {
          ...{ id: idOf('status 1'), lead_id: leads[2]!.id, from_status: 'contacted', to_status: 'qualified' },
          changed_at: { daysAgo: 12 },
        },
      ],
    ],
    [
      'lead_assignments',
      [0, 1].map((at) => ({
        ...{ id: idOf(`assignment ${at}`), lead_id: leads[at]!.id, to_owner: idOf(`owner ${at}`) },
        assigned_at: { daysAgo: 8 - at },
      })),
    ],
    [
      'consents',
      [
        { id: idOf('consent 0'), contact_id: idOf('contact 0'), channel: 'email', is_given: true, method: 'form' },
        { id: idOf('consent 1'), contact_id: idOf('contact 1'), channel: 'sms', is_given: false, method: 'person' },
      ],
    ],
    [
      'lead_source_costs',
      [
        { id: idOf('cost 0'), lead_source: 'website', month: { monthsAgo: 0 }, cost: '420.00' },
        { id: idOf('cost 1'), lead_source: 'trade fair', month: { monthsAgo: 0 }, cost: '1900.00' },
      ],
    ],
    [
      'segments',
      [
        {
          ...{ id: idOf('segment 0'), name: 'Hot leads', filter: JSON.stringify({ tags: ['hot'] }) },
          ...{ is_public: true, user_id: 1 },
        },
      ],
    ],
    ['system_config', [{ id: idOf('config 0'), key: 'time_zone', value: JSON.stringify('America/Los_Angeles') }]],
    [
      'budget_transactions',
      [
        { id: idOf('budget 0'), kind: 'deposit', amount_usd: '500.00', description: 'first deposit' },
        { id: idOf('budget 1'), kind: 'charge', amount_usd: '-12.50', description: '250 messages' },
        { id: idOf('budget 2'), kind: 'refund', amount_usd: '2.50', description: '50 messages were not delivered' },
      ],
    ],
  ];
}
