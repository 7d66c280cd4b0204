// The rows under test: about 600 bytes and three items each, every column a function of the row's number alone.

/** Columns of a quote, in the order of the tables of both sides. */
export const quoteColumns: readonly string[] =
  'id, company_id, customer_name, email, phone, address, lead_status, status, job_name, description, items, subtotal, discount_amount, tax_rate, tax_amount, total, notes, quote_number, job_number, scheduled_at, started_at, completed_at, sent_at, user_id, invoice_number, invoice_sent_at, paid_at, payment_method, payment_link_url, created_at, updated_at'.split(
    ', ',
  );
const COLUMNS = quoteColumns.join(', ');

const pick = (values: readonly string[], index: string) =>
  `(ARRAY[${values.map((value) => `'${value.replaceAll("'", "''")}'`).join(',')}])[1 + (${index}) % ${values.length}]`;

const NAMES = ['Amelia', 'Bruno', 'Chiara', 'Dmitri', 'Esra', 'Farid', 'Greta', 'Hugo', 'Ines', 'Jonas'];
const SURNAMES = [
  'Adeyemi',
  'Bergström',
  'Castillo',
  'D’Angelo',
  'Eriksen',
  'Fischer',
  'Garcia',
  'Hoang',
  'Ito',
  'Jensen',
];
const STREETS = ['Birch Lane', 'Cedar Court', 'Elm Street', 'Harbour Road', 'Station Road'];
const CITIES = ['Boise, ID', 'Dayton, OH', 'Fresno, CA', 'Mobile, AL', 'Tacoma, WA'];
const LEAD_STATUSES = ['new', 'contacted', 'qualified', 'won', 'lost'];
const STATUSES = ['draft', 'sent', 'accepted', 'scheduled', 'in_progress', 'completed', 'invoiced', 'paid'];
const WORKS = [
  'Roof inspection',
  'Bathroom refit',
  'Fence repair',
  'Boiler service',
  'Patio paving',
  'Attic insulation',
];

/** Id of row n, as SQL. */
export const idOf = (n: string) => `md5('bench quote ' || ${n})::uuid`;

/** Whose quotes the rows are: each of another customer, or all of one and the same. */
export type Customers = 'each' | 'one';
/** How many tenants the rows are spread over, where nothing else is said. */
export const USUAL_TENANTS = 500;

/** Inserts rows $1 to $2 into a table of the legacy shape. A quarter has an invoice, an eighth is paid, every row is a lead and a quote. */
export const insertQuotes = (table: string, customers: Customers = 'each', tenants = USUAL_TENANTS) => `
INSERT INTO ${table} (${COLUMNS})
SELECT ${idOf('n')}, md5('bench company ' || c % ${tenants})::uuid,
  ${pick(NAMES, 'h')} || ' ' || ${pick(SURNAMES, 'h / 10')},
  'client' || n || '@' || ${pick(['example.com', 'post.example.org', 'house.example.net'], 'n')},
  '+1-' || 201 + g % 780 || '-555-' || lpad((c % 10000)::text, 4, '0'),
  1 + h % 9999 || ' ' || ${pick(STREETS, 'n')} || ', ' || ${pick(CITIES, 'h / 7')} || ' ' || lpad((h % 99999)::text, 5, '0'),
  ${pick(LEAD_STATUSES, 'h')}, ${pick(STATUSES, 'h / 3')}, ${pick(WORKS, 'h')} || ' no. ' || n,
  'The client wants a written estimate with labour, materials and removal listed apart; visited on day ' || 1 + n % 28
    || '. Side entrance, ring before coming. Our reference ' || md5('bench reference ' || n),
  jsonb_build_array(
    jsonb_build_object('name', 'Labour, skilled fitter', 'quantity', 1 + h % 12, 'unit_price', 85.50, 'total', (1 + h % 12) * 85.50),
    jsonb_build_object('name', 'Material set ' || n % 40, 'quantity', 1 + h % 5, 'unit_price', price, 'total', (1 + h % 5) * price),
    jsonb_build_object('name', 'Removal and cleaning', 'quantity', 1, 'unit_price', 149.99, 'total', 149.99)),
  sum, round(sum * 0.05, 2), 0.0825, round(sum * 0.95 * 0.0825, 2), round(sum * 0.95 * 1.0825, 2),
  CASE WHEN n % 3 = 0 THEN 'Mornings are best; mind the dog. Answer by e-mail.' END,
  'Q-' || lpad(n::text, 8, '0'), CASE WHEN n % 2 = 0 THEN 'J-' || lpad(n::text, 8, '0') END,
  at + interval '3 days', CASE WHEN n % 2 = 0 THEN at + interval '4 days' END,
  CASE WHEN n % 4 = 0 THEN at + interval '5 days' END, at + interval '1 hour', md5('bench user ' || n % 2000)::uuid,
  CASE WHEN n % 4 = 0 THEN 'INV-' || lpad(n::text, 8, '0') END, CASE WHEN n % 4 = 0 THEN at + interval '6 days' END,
  CASE WHEN n % 8 = 0 THEN at + interval '9 days' END,
  CASE WHEN n % 8 = 0 THEN ${pick(['card', 'transfer', 'cash', 'cheque'], 'h')} END,
  'https://pay.example.com/q/' || md5('bench link ' || n), at, at
FROM (
  SELECT n, h, ${customers === 'each' ? 'n AS c, h AS g' : '1 AS c, 1 AS g'}, (250 + h % 9000)::numeric(12,2) + 0.37 AS sum, round((100 + h % 900)::numeric * 1.07, 2) AS price,
    timestamptz '2025-01-01 08:00Z' + n * interval '37 seconds' + h % 1000000 * interval '1 microsecond' AS at
  FROM (SELECT n, ('x' || substr(md5(n::text), 1, 7))::bit(28)::int AS h FROM generate_series($1::bigint, $2::bigint) n) numbered
) seeded`;

/** Updates the rows with the numbers in $1; $2 makes the note one that no row has yet. */
export const updateQuotes = `
UPDATE quotes SET status = 'scheduled', scheduled_at = now() + interval '2 days', job_number = 'J-' || $2::text,
  notes = 'Moved to another day by the office (change ' || $2::text || ').', updated_at = clock_timestamp()
WHERE id IN (SELECT ${idOf('n')} FROM unnest($1::bigint[]) n)`;
