import { definePipeline } from 'crosswalk';
import { customers } from './projections/customers.ts';

export default definePipeline({
  name: 'app',
  folder: import.meta.dirname,
  targetSchema: 'app',
  // Legacy tables. One that others refer to comes before them.
  sources: ['customers'],
  projections: [customers],
  migrations: 'migrations',
  // What becomes of a tenant's rows may depend on settings of its own. Here nothing does, yet.
  tenants: { file: 'tenants.json', parse: () => () => ({}) },
  rejects: 'rejects',
  // What the application sees of a tenant at each stage: the last line of each migration says from which one on its table is shown.
  stages: ['everything'],
});
