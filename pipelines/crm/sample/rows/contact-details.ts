import type { Random } from '../random.ts';
import { uuidOf } from './identifiers.ts';
import type { Row, Setting } from './row.ts';
import { randomAddress, randomWork } from './texts.ts';
import { dateText, laterUs, timeText } from './times.ts';

/** Columns for the origin and potential value of a contact. */
export function marketing(setting: Setting, random: Random): Row {
  const some = (values: readonly string[]): string | null => (random.chance(0.4) ? random.pick(values) : null);
  return {
    lead_source: some(['web', 'Referral', ' phone', 'fair', '']),
    sub_source: some(['landing-a', 'QR "van"', 'x'.repeat(255)]),
    product: some([randomWork(random), 'Plan Größe L']),
    market: some(['north', 'South-East', '東']),
    priority: some(['low', 'medium', 'HIGH', ' ']),
    lead_score_factors: some(['{"visits": 4, "weight": 0.250}', '[]', '{"a": {"b": [1, 2.00]}}', 'null']),
    qualification_status: some(['qualified', ' MQL', 'unqualified', '']),
    campaign_id: random.chance(0.2) ? campaignId(setting.seed, random.int(0, 9)) : null,
    utm_source: some(['newsletter', 'search']),
    utm_medium: some(['email', 'cpc']),
    utm_campaign: some(['spring_24', 'Früh%20jahr']),
    utm_term: some(['roof+repair', '']),
    utm_content: some(['banner-1', '🪜']),
    expected_close_date: random.chance(0.3) ? dateText(setting.firstDay + random.int(0, 1200)) : null,
    source_metadata: some(['{"form": 7, "score": 12345678901234567890123.45}', '{}', 'null', '["import", 3]']),
  };
}

/** Columns for the name and address of a contact. */
export function profile(random: Random, index: number): Row {
  const some = (values: readonly string[]): string | null => (random.chance(0.3) ? random.pick(values) : null);
  const address = randomAddress(random);
  return {
    company: some(['Thornfield Bakery', 'ΣΙΓΜΑΣ ΑΕ', 'Łąka & Co', '']),
    job_title: some(['Owner', 'Facilities; manager']),
    address: some([address.street, `${address.street}\n${address.city}`, ' ']),
    city: some([address.city]),
    state: some([address.state]),
    postal_code: some([address.postalCode, '01234']),
    country: some(['US', 'us', 'Türkiye']),
    timezone: some(['America/Chicago', 'Europe/Berlin']),
    language: some(['en', 'pt-BR', 'AR']),
    birthday: random.chance(0.1) ? dateText(random.int(-9000, 14_000)) : null,
    preferred_channel: some(['whatsapp', 'Email', 'SMS']),
    whatsapp_id: some([`wa-${index}`]),
    instagram_handle: some([`@sample.${index % 97}_`]),
    website: some(['https://example.com/a?b=c&d=%20#e', 'example.org']),
    avatar_url: some([`https://example.net/a/${index}.png`]),
  };
}

/** Columns for the latest activity of a contact. */
export function activity(random: Random, createdUs: number): Row {
  const some = (): string | null => (random.chance(0.4) ? timeText(laterUs(random, createdUs, 400)) : null);
  return {
    last_message_at: some(),
    last_contacted_at: random.chance(0.002) ? 'infinity' : some(),
    assigned_at: some(),
    unread_count: random.chance(0.5) ? String(random.int(0, 12)) : null,
    is_blocked: random.pick(['true', 'false', 'false', null]),
  };
}

/** The id of a sample's campaign. */
export function campaignId(seed: string, index: number): string {
  return uuidOf(`${seed}/campaign/${index}`);
}
