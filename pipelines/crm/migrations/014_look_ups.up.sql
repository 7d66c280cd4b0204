-- What the application looks up: the do-not-call list by any spelling of a number, and the indexes of what the migration before this one made.
-- crosswalk: transaction
-- How numbers are written in each country: the metadata of libphonenumber-js. A test holds this table against the library's.
--   country: ISO 3166 alpha-2; 001: of no country
--   trunk_prefix: written before a number within the country
--   trunk_pattern: a regular expression for what else stands there, with groups
--   trunk_rule: what a group becomes: a part of the number that is only written abroad
-- A view, so that there is nothing to keep: neither by a backup nor by who takes this back.
CREATE OR REPLACE VIEW crm.calling_code AS
SELECT country, calling_code, trunk_prefix, NULL::text AS trunk_pattern, NULL::text AS trunk_rule FROM (VALUES
  ('001', '800', NULL), ('001', '808', NULL), ('001', '870', NULL), ('001', '878', NULL), ('001', '881', NULL), ('001', '882', NULL), ('001', '883', NULL),
  ('001', '888', NULL), ('001', '979', NULL), ('AC', '247', NULL), ('AD', '376', NULL), ('AE', '971', '0'), ('AF', '93', '0'), ('AL', '355', '0'), ('AM', '374', '0'),
  ('AO', '244', NULL), ('AT', '43', '0'), ('AW', '297', NULL), ('AX', '358', '0'), ('AZ', '994', '0'), ('BA', '387', '0'), ('BD', '880', '0'), ('BE', '32', '0'),
  ('BF', '226', NULL), ('BG', '359', '0'), ('BH', '973', NULL), ('BI', '257', NULL), ('BJ', '229', NULL), ('BL', '590', '0'), ('BN', '673', NULL), ('BQ', '599', NULL),
  ('BT', '975', NULL), ('BW', '267', NULL), ('BZ', '501', NULL), ('CA', '1', '1'), ('CD', '243', '0'), ('CF', '236', NULL), ('CG', '242', NULL), ('CH', '41', '0'),
  ('CI', '225', NULL), ('CK', '682', NULL), ('CL', '56', NULL), ('CM', '237', NULL), ('CU', '53', '0'), ('CV', '238', NULL), ('CW', '599', NULL), ('CY', '357', NULL),
  ('CZ', '420', NULL), ('DE', '49', '0'), ('DJ', '253', NULL), ('DK', '45', NULL), ('DO', '1', '1'), ('DZ', '213', '0'), ('EC', '593', '0'), ('EE', '372', NULL),
  ('EG', '20', '0'), ('EH', '212', '0'), ('ER', '291', '0'), ('ES', '34', NULL), ('ET', '251', '0'), ('FI', '358', '0'), ('FJ', '679', NULL), ('FK', '500', NULL),
  ('FM', '691', NULL), ('FR', '33', '0'), ('GE', '995', '0'), ('GF', '594', '0'), ('GH', '233', '0'), ('GI', '350', NULL), ('GL', '299', NULL), ('GM', '220', NULL),
  ('GN', '224', NULL), ('GP', '590', '0'), ('GQ', '240', NULL), ('GR', '30', NULL), ('GT', '502', NULL), ('GW', '245', NULL), ('GY', '592', NULL), ('HK', '852', NULL),
  ('HN', '504', NULL), ('HR', '385', '0'), ('HT', '509', NULL), ('HU', '36', '06'), ('ID', '62', '0'), ('IE', '353', '0'), ('IL', '972', '0'), ('IN', '91', '0'),
  ('IO', '246', NULL), ('IQ', '964', '0'), ('IR', '98', '0'), ('IS', '354', NULL), ('IT', '39', NULL), ('JM', '1', '1'), ('JO', '962', '0'), ('KE', '254', '0'),
  ('KG', '996', '0'), ('KH', '855', '0'), ('KI', '686', '0'), ('KM', '269', NULL), ('KP', '850', '0'), ('KW', '965', NULL), ('KZ', '7', '8'), ('LA', '856', '0'),
  ('LB', '961', '0'), ('LK', '94', '0'), ('LR', '231', '0'), ('LS', '266', NULL), ('LV', '371', NULL), ('LY', '218', '0'), ('MA', '212', '0'), ('MC', '377', '0'),
  ('MD', '373', '0'), ('ME', '382', '0'), ('MF', '590', '0'), ('MH', '692', '1'), ('MK', '389', '0'), ('ML', '223', NULL), ('MM', '95', '0'), ('MN', '976', '0'),
  ('MO', '853', NULL), ('MQ', '596', '0'), ('MR', '222', NULL), ('MT', '356', NULL), ('MU', '230', NULL), ('MV', '960', NULL), ('MW', '265', '0'), ('MX', '52', NULL),
  ('MY', '60', '0'), ('MZ', '258', NULL), ('NA', '264', '0'), ('NC', '687', NULL), ('NE', '227', NULL), ('NG', '234', '0'), ('NI', '505', NULL), ('NL', '31', '0'),
  ('NO', '47', NULL), ('NP', '977', '0'), ('NR', '674', NULL), ('NU', '683', NULL), ('NZ', '64', '0'), ('OM', '968', NULL), ('PA', '507', NULL), ('PE', '51', '0'),
  ('PF', '689', NULL), ('PG', '675', NULL), ('PH', '63', '0'), ('PK', '92', '0'), ('PL', '48', NULL), ('PM', '508', '0'), ('PR', '1', '1'), ('PS', '970', '0'),
  ('PT', '351', NULL), ('PW', '680', NULL), ('PY', '595', '0'), ('QA', '974', NULL), ('RE', '262', '0'), ('RO', '40', '0'), ('RS', '381', '0'), ('RU', '7', '8'),
  ('RW', '250', '0'), ('SA', '966', '0'), ('SB', '677', NULL), ('SC', '248', NULL), ('SD', '249', '0'), ('SE', '46', '0'), ('SG', '65', NULL), ('SH', '290', NULL),
  ('SI', '386', '0'), ('SJ', '47', NULL), ('SK', '421', '0'), ('SL', '232', '0'), ('SN', '221', NULL), ('SO', '252', '0'), ('SR', '597', NULL), ('SS', '211', '0'),
  ('ST', '239', NULL), ('SV', '503', NULL), ('SY', '963', '0'), ('SZ', '268', NULL), ('TA', '290', NULL), ('TD', '235', NULL), ('TG', '228', NULL), ('TH', '66', '0'),
  ('TJ', '992', NULL), ('TK', '690', NULL), ('TL', '670', NULL), ('TM', '993', '8'), ('TN', '216', NULL), ('TO', '676', NULL), ('TR', '90', '0'), ('TV', '688', NULL),
  ('TW', '886', '0'), ('TZ', '255', '0'), ('UA', '380', '0'), ('UG', '256', '0'), ('US', '1', '1'), ('UY', '598', '0'), ('UZ', '998', NULL), ('VA', '39', NULL),
  ('VE', '58', '0'), ('VN', '84', '0'), ('VU', '678', NULL), ('WF', '681', NULL), ('WS', '685', NULL), ('XK', '383', '0'), ('YE', '967', '0'), ('YT', '262', '0'),
  ('ZA', '27', '0'), ('ZM', '260', '0'), ('ZW', '263', '0')
  ) AS plain (country, calling_code, trunk_prefix)
UNION ALL
SELECT country, calling_code, trunk_prefix, trunk_pattern, trunk_rule FROM (VALUES
  ('AG', '1', '1', '([457]\d{6})$|1', '268$1'),
  ('AI', '1', '1', '([2457]\d{6})$|1', '264$1'),
  ('AR', '54', '0', '0?(?:(11|2(?:2(?:02?|[13]|2[13-79]|4[1-6]|5[2457]|6[124-8]|7[1-4]|8[13-6]|9[1267])|3(?:02?|1[467]|2[03-6]|3[13-8]|[49][2-6]|5[2-8]|[67])|4(?:7[3-578]|9)|6(?:[0136]|2[24-6]|4[6-8]?|5[15-8])|80|9(?:0[1-3]|[19]|2\d|3[1-6]|4[02568]?|5[2-4]|6[2-46]|72?|8[23]?))|3(?:3(?:2[79]|6|8[2578])|4(?:0[0-24-9]|[12]|3[5-8]?|4[24-7]|5[4-68]?|6[02-9]|7[126]|8[2379]?|9[1-36-8])|5(?:1|2[1245]|3[237]?|4[1-46-9]|6[2-4]|7[1-6]|8[2-5]?)|6[24]|7(?:[069]|1[1568]|2[15]|3[145]|4[13]|5[14-8]|7[2-57]|8[126])|8(?:[01]|2[15-7]|3[2578]?|4[13-6]|5[4-8]?|6[1-357-9]|7[36-8]?|8[5-8]?|9[124])))15)?', '9$1'),
  ('AS', '1', '1', '([267]\d{6})$|1', '684$1'),
  ('AU', '61', '0', '(183[12])|0', NULL),
  ('BB', '1', '1', '([2-9]\d{6})$|1', '246$1'),
  ('BM', '1', '1', '([2-9]\d{6})$|1', '441$1'),
  ('BO', '591', '0', '0(1\d)?', NULL),
  ('BR', '55', '0', '(?:0|90)(?:(1[245]|2[1-35]|31|4[13]|[56]5|99)(\d{10,11}))?', '$2'),
  ('BS', '1', '1', '([3-8]\d{6})$|1', '242$1'),
  ('BY', '375', '8', '0|80?', NULL),
  ('CC', '61', '0', '([59]\d{7})$|0', '8$1'),
  ('CN', '86', '0', '(1(?:[12]\d|79)\d\d)|0', NULL),
  ('CO', '57', '0', '0([3579]|4(?:[14]4|56))?', NULL),
  ('CR', '506', NULL, '(19(?:0[0-2468]|1[09]|20|66|77|99))', NULL),
  ('CX', '61', '0', '([59]\d{7})$|0', '8$1'),
  ('DM', '1', '1', '([2-7]\d{6})$|1', '767$1'),
  ('FO', '298', NULL, '(10(?:01|[12]0|88))', NULL),
  ('GA', '241', NULL, '0(11\d{6}|60\d{6}|61\d{6}|6[256]\d{6}|7[467]\d{6})', '$1'),
  ('GB', '44', '0', '0|180020', NULL),
  ('GD', '1', '1', '([2-9]\d{6})$|1', '473$1'),
  ('GG', '44', '0', '([25-9]\d{5})$|0|180020', '1481$1'),
  ('GU', '1', '1', '([2-9]\d{6})$|1', '671$1'),
  ('IM', '44', '0', '([25-8]\d{5})$|0|180020', '1624$1'),
  ('JE', '44', '0', '([0-24-8]\d{5})$|0|180020', '1534$1'),
  ('JP', '81', '0', '(000[2569]\d{4,6})$|(?:(?:003768)0?)|0', '$1'),
  ('KN', '1', '1', '([2-7]\d{6})$|1', '869$1'),
  ('KR', '82', '0', '0(8(?:[1-46-8]|5\d\d))?', NULL),
  ('KY', '1', '1', '([2-9]\d{6})$|1', '345$1'),
  ('LC', '1', '1', '([2-8]\d{6})$|1', '758$1'),
  ('LI', '423', '0', '(1001)|0', NULL),
  ('LT', '370', '0', '[08]', NULL),
  ('LU', '352', NULL, '(15(?:0[06]|1[12]|[35]5|4[04]|6[26]|77|88|99)\d)', NULL),
  ('MG', '261', '0', '([24-9]\d{6})$|0', '20$1'),
  ('MP', '1', '1', '([2-9]\d{6})$|1', '670$1'),
  ('MS', '1', '1', '([34]\d{6})$|1', '664$1'),
  ('NF', '672', NULL, '([0-258]\d{4})$', '3$1'),
  ('SM', '378', NULL, '([89]\d{5})$', '0549$1'),
  ('SX', '1', '1', '(5\d{6})$|1', '721$1'),
  ('TC', '1', '1', '([2-479]\d{6})$|1', '649$1'),
  ('TT', '1', '1', '([2-46-8]\d{6})$|1', '868$1'),
  ('VC', '1', '1', '([2-7]\d{6})$|1', '784$1'),
  ('VG', '1', '1', '([2-578]\d{6})$|1', '284$1'),
  ('VI', '1', '1', '([2-9]\d{6})$|1', '340$1')
  ) AS other (country, calling_code, trunk_prefix, trunk_pattern, trunk_rule);
GRANT SELECT ON crm.calling_code TO crosswalk_reader;

-- ASCII digits and + for those of other scripts.
CREATE OR REPLACE FUNCTION crm.ascii_digits(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN translate(given, U&'\FF10\FF11\FF12\FF13\FF14\FF15\FF16\FF17\FF18\FF19\0660\0661\0662\0663\0664\0665\0666\0667\0668\0669\06F0\06F1\06F2\06F3\06F4\06F5\06F6\06F7\06F8\06F9\FF0B',
    '012345678901234567890123456789+');

-- The number without what follows it: parameters of a tel: address, an extension.
CREATE OR REPLACE FUNCTION crm.without_extension(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN regexp_replace(regexp_replace(given, ';[a-z-]+=.*$', '', 'i'),
    U&'[\0020\0009\00A0,;.(]*(extension|extensi\00F3n|extn?|ext|xtn|anexo|int|\0434\043E\0431|[x#\FF58\FF03~]|,,)[\0020\00A0.:=#]*[0-9]{1,9}[)#\0020]*$', '', 'i');

-- The digits of a phone number as somebody wrote it: without an extension, and without the zero in brackets that is only written beside a calling code.
CREATE OR REPLACE FUNCTION crm.phone_digits(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN regexp_replace(regexp_replace(crm.without_extension(crm.ascii_digits(given)), U&'\\([\0020\00A0]*0[\0020\00A0]*\\)', '', 'g'), '[^0-9]', '', 'g');

-- The plan of the world is prefix-free: the first digits tell how long a calling code is.
CREATE OR REPLACE FUNCTION crm.calling_code_of(digits text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN left(digits, 1) IN ('1', '7') THEN left(digits, 1)
    WHEN left(digits, 2) IN ('20', '27', '30', '31', '32', '33', '34', '36', '39', '40', '41', '43', '44', '45', '46', '47', '48', '49', '51', '52', '53', '54', '55', '56', '57', '58',
      '60', '61', '62', '63', '64', '65', '66', '81', '82', '84', '86', '90', '91', '92', '93', '94', '95', '98') THEN left(digits, 2)
    ELSE left(digits, 3) END;

-- By which an entry of the list is found: the last six digits of its national number; of a shorter one the last two, marked. Whatever spelling is asked for ends in them. Null for an e-mail.
-- So dear that no plan ever computes it for many rows, instead of looking into its index.
CREATE OR REPLACE FUNCTION crm.dnc_key(identity text, identity_kind text) RETURNS text
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  digits text := regexp_replace(identity, '[^0-9]', '', 'g');
  national text;
BEGIN
  IF digits = '' OR (identity_kind = 'email' AND position('@' IN identity) > 0) THEN RETURN NULL; END IF;
  national := ltrim(CASE WHEN left(identity, 1) = '+' THEN substr(digits, length(crm.calling_code_of(digits)) + 1) ELSE digits END, '0');
  RETURN CASE WHEN length(national) >= 6 THEN right(national, 6) ELSE '*' || right(digits, 2) END;
END $$;

-- How an entry that is no valid number begins, without the zeros before it: with what it begins with, and without what may be a calling code. Digits of an extension may stand at its end.
CREATE OR REPLACE FUNCTION crm.dnc_head(identity text, without_code boolean) RETURNS text
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE digits text := ltrim(identity, '0');
BEGIN
  RETURN left(CASE WHEN without_code THEN ltrim(substr(digits, length(crm.calling_code_of(digits)) + 1), '0') ELSE digits END, 7);
END $$;

-- What is left of a number as it is written within a country, once what stands before it is taken away; as libphonenumber does it.
CREATE OR REPLACE FUNCTION crm.without_trunk(digits text, pattern text, rule text) RETURNS text
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE found text[] := regexp_match(digits, '^((?:' || pattern || '))');
BEGIN
  IF found IS NULL THEN RETURN digits; END IF;
  IF rule IS NOT NULL AND cardinality(found) > 1 AND coalesce(found[cardinality(found)], '') <> '' THEN
    RETURN regexp_replace(digits, '^(?:' || pattern || ')', replace(rule, '$', '\'));
  END IF;
  RETURN substr(digits, length(found[1]) + 1);
END $$;

-- Whether `asked` spells the E.164 number `listed` (both digits alone): within its country or from abroad, with zeros that may be left out anywhere. `is_international`: it was written with a +.
CREATE OR REPLACE FUNCTION crm.is_spelling(listed text, asked text, is_international boolean) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- Before a calling code: 00, 011, 0011, 010, 001 and the like with or without a carrier, 810, 119, 99.
  abroad constant text := '(?:0[0-9]{0,4}|810|119|99[0-9]?)?';
  code text := crm.calling_code_of(listed);
  national text := substr(listed, length(code) + 1);
  core text := ltrim(national, '0');
  before text := CASE WHEN right(asked, length(core)) = core THEN left(asked, length(asked) - length(core)) END;
  trunks text;
  plan record;
BEGIN
  IF ltrim(asked, '0') = listed OR (NOT is_international AND asked = national) THEN RETURN true; END IF;
  IF core = '' THEN RETURN false; END IF;
  -- Both tell most spellings without a look at the plan.
  IF ltrim(before, '0') = code OR (NOT is_international AND ltrim(before, '0') = '') THEN RETURN true; END IF;
  IF before IS NULL AND code = '1' THEN
    -- All that rules of the North American plan add is the area of a local number.
    RETURN false;
  ELSIF before IS NOT NULL THEN
    trunks := (SELECT coalesce(string_agg(DISTINCT c.trunk_prefix, '|'), '') FROM crm.calling_code c WHERE c.calling_code = code);
    IF before ~ ('^' || abroad || code || '0*(?:' || trunks || ')?0*$') OR (NOT is_international AND before ~ ('^0*(?:' || trunks || ')?0*$')) THEN RETURN true; END IF;
  END IF;
  -- A rule begins with what is only written abroad: the others cannot yield this number.
  FOR plan IN SELECT DISTINCT c.trunk_pattern, c.trunk_rule FROM crm.calling_code c
      WHERE c.calling_code = code AND c.trunk_pattern IS NOT NULL AND (c.trunk_rule IS NULL OR starts_with(national, split_part(c.trunk_rule, '$', 1))) LOOP
    IF ltrim(crm.without_trunk(substring(asked FROM '^' || abroad || code || '([0-9]+)$'), plan.trunk_pattern, plan.trunk_rule), '0') = core
      OR (NOT is_international AND ltrim(crm.without_trunk(asked, plan.trunk_pattern, plan.trunk_rule), '0') = core) THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;

-- Whether two numbers of which one is no valid one may be the same: all digits, or one the end of the other with six digits at least.
CREATE OR REPLACE FUNCTION crm.may_be_same_digits(listed text, asked text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN listed = asked OR (least(length(listed), length(asked)) >= 6 AND (right(listed, length(asked)) = asked OR right(asked, length(listed)) = listed));

-- The same, without zeros before them, and each with and without what is written before a national number in the countries that come into question.
CREATE OR REPLACE FUNCTION crm.may_be_same_number(listed text, asked text, own_code text) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ours text := ltrim(listed, '0');
  theirs text := ltrim(asked, '0');
BEGIN
  IF ours = '' OR theirs = '' THEN RETURN listed = asked; END IF;
  RETURN crm.may_be_same_digits(ours, theirs) OR EXISTS (
    SELECT FROM (SELECT DISTINCT ltrim(c.trunk_prefix, '0') AS trunk FROM crm.calling_code c
        WHERE c.calling_code IN (own_code, crm.calling_code_of(ours), crm.calling_code_of(theirs)) AND ltrim(c.trunk_prefix, '0') <> '') t,
      LATERAL (SELECT CASE WHEN starts_with(ours, t.trunk) THEN substr(ours, length(t.trunk) + 1) ELSE ours END AS o,
        CASE WHEN starts_with(theirs, t.trunk) THEN substr(theirs, length(t.trunk) + 1) ELSE theirs END AS h) bare
    WHERE least(length(bare.o), length(bare.h)) >= 6 AND (crm.may_be_same_digits(bare.o, bare.h) OR crm.may_be_same_digits(ours, bare.h) OR crm.may_be_same_digits(bare.o, theirs)));
END $$;

-- Whether a tenant's list holds what `asked` spells; null where this login may not know. Reads past the policies, because under them no index on an expression serves.
CREATE OR REPLACE FUNCTION crm.dnc_list_holds(asked text, organisation text) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  given text := crm.ascii_digits(asked);
  bare text;
  spellings text[];
  spelling text;
  is_international boolean;
  own_code text;
  is_own_known boolean := false;
  keys text[];
  listed text;
  digits text;
  is_number boolean;
BEGIN
  IF NOT crm.may_ask_about(organisation, 1) THEN RETURN NULL; END IF;
  IF given ~* '^\s*sips?:' THEN given := split_part(given, '@', 1); END IF;
  -- An e-mail; or words, as they are.
  IF given ~ '[[:alpha:]@]' THEN
    IF EXISTS (SELECT FROM crm.dnc_list d WHERE d.tenant_id = organisation AND d.identity = ANY (ARRAY[crm.folded_email(asked), asked])
        AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())) THEN RETURN true; END IF;
    IF position('@' IN given) > 0 THEN RETURN false; END IF;
  END IF;
  spellings := ARRAY[regexp_replace(given, '[^0-9]', '', 'g')];
  IF given ~ '[[:alpha:]#,;~]|[(]\s*0\s*[)]' THEN
    -- What may be left away, and what may have been listed with it.
    bare := crm.without_extension(given);
    spellings := spellings || ARRAY[crm.phone_digits(given), regexp_replace(bare, '[^0-9]', '', 'g'),
      regexp_replace(substring(given FROM '(?i);phone-context=([+][0-9.-]+)') || bare, '[^0-9]', '', 'g')];
  END IF;
  is_international := given ~ '^[^0-9+]*[+]';
  FOREACH spelling IN ARRAY spellings LOOP
    keys := keys || ARRAY[right(spelling, 6), '*' || right(spelling, 2)];
  END LOOP;
  FOREACH listed IN ARRAY ARRAY(SELECT d.identity FROM crm.dnc_list d WHERE d.tenant_id = organisation AND crm.dnc_key(d.identity, d.identity_kind) = ANY (keys)
      AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())) LOOP
    is_number := left(listed, 1) = '+';
    digits := regexp_replace(listed, '[^0-9]', '', 'g');
    FOREACH spelling IN ARRAY spellings LOOP
      CONTINUE WHEN coalesce(spelling, '') = '';
      IF is_number THEN
        IF crm.is_spelling(digits, spelling, is_international) THEN RETURN true; END IF;
        -- A local number, without its area, is taken for the listed one where nobody knows that it is one of another country.
        CONTINUE WHEN is_international OR length(spelling) < 6 OR left(spelling, 1) = '0' OR right(digits, length(spelling)) <> spelling
          OR length(spelling) >= length(digits) - length(crm.calling_code_of(digits));
      END IF;
      IF NOT is_own_known THEN
        own_code := (SELECT c.calling_code FROM crm.calling_code c
          WHERE c.country = (SELECT upper(btrim(t.country)) FROM crm.tenants t WHERE t.id = organisation AND t.deleted_at IS NULL) LIMIT 1);
        is_own_known := true;
      END IF;
      IF (CASE WHEN is_number THEN coalesce(own_code = crm.calling_code_of(digits), true) ELSE crm.may_be_same_number(digits, spelling, own_code) END) THEN RETURN true; END IF;
    END LOOP;
  END LOOP;
  -- Entries that are no valid number because an extension stands behind it: the number itself is meant, too.
  FOREACH spelling IN ARRAY spellings LOOP
    spelling := ltrim(spelling, '0');
    CONTINUE WHEN coalesce(length(spelling), 0) < 9;
    bare := CASE WHEN is_international THEN ltrim(substr(spelling, length(crm.calling_code_of(spelling)) + 1), '0') ELSE spelling END;
    IF EXISTS (
      SELECT FROM crm.dnc_list d WHERE d.tenant_id = organisation AND crm.dnc_head(d.identity, false) = ANY (ARRAY[left(spelling, 7), left(bare, 7)])
        AND d.identity_kind = 'digits' AND length(d.identity) > 9 AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())
        AND length(ltrim(d.identity, '0')) - length(bare) BETWEEN 1 AND 10 AND (starts_with(ltrim(d.identity, '0'), spelling) OR (length(bare) >= 9 AND starts_with(ltrim(d.identity, '0'), bare)))
      UNION ALL
      SELECT FROM crm.dnc_list d WHERE d.tenant_id = organisation AND crm.dnc_head(d.identity, true) = left(bare, 7)
        AND d.identity_kind = 'digits' AND length(d.identity) > 9 AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())
        AND length(bare) >= 9 AND starts_with(ltrim(substr(ltrim(d.identity, '0'), length(crm.calling_code_of(ltrim(d.identity, '0'))) + 1), '0'), bare)) THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;

-- Case as the projections fold it, for all of Unicode where the server can. Chosen here, because the collation of the database may know ASCII alone.
DO $$
DECLARE chosen text;
BEGIN
  SELECT format('pg_catalog.%I', c.collname) INTO chosen FROM pg_collation c
    WHERE c.collnamespace = 'pg_catalog'::regnamespace AND c.collname IN ('pg_c_utf8', 'und-x-icu', 'C.utf8') AND c.collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))
    ORDER BY array_position(ARRAY['pg_c_utf8', 'und-x-icu', 'C.utf8'], c.collname::text) LIMIT 1;
  EXECUTE format($function$CREATE OR REPLACE FUNCTION crm.folded_email(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(regexp_replace(regexp_replace(given, '^(?:[[:space:]]|%2$s)*(?:mailto:)?', '', 'i'), '(?:[[:space:]]|%2$s)+$', '') COLLATE %1$s)$function$,
    coalesce(chosen, 'pg_catalog."default"'), chr(160));
END $$;

-- Whether somebody must not be called or written to. `phone`: a number in any spelling, or an e-mail; `organisation`: a tenant id. In doubt it says true. Null where nothing is asked, and
-- while the list is hidden: not known, which is not the same as not listed.
CREATE OR REPLACE FUNCTION crm.is_on_dnc_list(phone text, organisation text) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF phone IS NULL OR organisation IS NULL OR btrim(organisation) = '' OR btrim(phone, U&'\0020\0009\000A\000B\000C\000D\00A0\2007\202F\3000\FEFF') = '' THEN RETURN NULL; END IF;
  -- Where the policies of the list would say so: the function below does not ask them, and knows the login, but not the role that it has taken.
  IF row_security_active('crm.dnc_list') AND NOT pg_has_role('crosswalk_reader', 'USAGE') AND NOT pg_has_role('crosswalk_projector', 'USAGE') THEN
    IF NOT has_table_privilege('crm.dnc_list', 'SELECT') THEN
      RAISE EXCEPTION 'permission denied for table dnc_list' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF organisation IS DISTINCT FROM current_setting('crosswalk.tenant_id', true) THEN
      -- Of a role with policies of its own nobody knows here what it sees.
      RETURN CASE WHEN pg_has_role('crosswalk_app', 'USAGE') AND NOT crm.is_held_back(1) THEN false END;
    END IF;
    IF current_user <> session_user AND crm.is_held_back(1) THEN RETURN NULL; END IF;
  ELSIF crm.is_held_back(1) THEN
    RETURN NULL;
  END IF;
  RETURN crm.dnc_list_holds(phone, organisation);
END $$;
REVOKE ALL ON FUNCTION crm.dnc_list_holds(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION crm.dnc_list_holds(text, text) TO crosswalk_app, crosswalk_reader, crosswalk_projector;

-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS dnc_list_key_idx ON crm.dnc_list (tenant_id, crm.dnc_key(identity, identity_kind)) WHERE deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS dnc_list_head_idx ON crm.dnc_list (tenant_id, crm.dnc_head(identity, false)) WHERE identity_kind = 'digits' AND length(identity) > 9 AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS dnc_list_bare_head_idx ON crm.dnc_list (tenant_id, crm.dnc_head(identity, true)) WHERE identity_kind = 'digits' AND length(identity) > 9 AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_phone_idx ON crm.leads (tenant_id, phone) WHERE phone IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_email_idx ON crm.leads (tenant_id, lower(btrim(email))) WHERE email IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contacts_email_idx ON crm.contacts (tenant_id, lower(btrim(email))) WHERE email IS NOT NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contacts_user_idx ON crm.contacts (user_id, tenant_id) WHERE deleted_at IS NULL;
-- crosswalk: transaction
DO $$
BEGIN
  IF EXISTS (SELECT FROM crm.value_collisions WHERE other_origin = 'app') THEN
    RAISE EXCEPTION 'live rows of the application share a value that is to be unique among them: SELECT * FROM crm.value_collisions WHERE other_origin = ''app'', and keep one of each';
  END IF;
END $$;
-- Among rows of the application; among projected ones there is a constraint already, and between both a trigger looks.
-- crosswalk: concurrently
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS unique_contact_per_user ON crm.contacts (user_id, phone_number) WHERE origin = 'app' AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS unique_thread_per_user ON crm.contacts (user_id, thread_id) WHERE origin = 'app' AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS unique_customer_phone ON crm.customers (tenant_id, phone_e164) WHERE origin = 'app' AND deleted_at IS NULL;
