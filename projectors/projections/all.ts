import type { Projection } from '../projection.ts';
import { contacts } from './contacts.ts';
import { contactHistory, quoteHistory } from './lead-history.ts';
import { quotes } from './quotes.ts';
import { statusOptions } from './status-options.ts';
import { workspaces } from './workspaces.ts';

/** Projections of what is: their rows depend on the legacy rows alone, and can be verified against them. */
export const projections: readonly Projection[] = [workspaces, statusOptions, contacts, quotes];

/** Projections of what happened: their rows depend on the log. */
export const histories: readonly Projection[] = [contactHistory, quoteHistory];

/** Every projection of the pipeline. */
export const allProjections: readonly Projection[] = [...projections, ...histories];
