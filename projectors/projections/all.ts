import type { Projection } from '../projection.ts';
import { contacts } from './contacts.ts';
import { quotes } from './quotes.ts';
import { statusOptions } from './status-options.ts';
import { workspaces } from './workspaces.ts';

/** Every projection of the pipeline. */
export const projections: readonly Projection[] = [workspaces, statusOptions, contacts, quotes];
