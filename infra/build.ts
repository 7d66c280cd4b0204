// Makes dist/, which the npm package holds: Node.js strips no types below node_modules.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Of infra/ only what local servers are started with. */
const NOT_READ = ['infra/build.ts', 'infra/docker/**', 'infra/prometheus/**', 'infra/setup.sh', '**/node_modules/**'];

/** What tsconfig.build.json includes, as JavaScript and declarations. The compiler rewrites the endings of imports in the first and leaves those of the second. */
function compile(): void {
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const args = [join(typescript, 'bin/tsc'), '-p', join(root, 'tsconfig.build.json')];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  for (const file of globSync('**/*.d.ts', { cwd: dist })) {
    const declarations = readFileSync(join(dist, file), 'utf8');
    writeFileSync(
      join(dist, file),
      declarations.replace(/(\bfrom |\bimport |\bimport\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'),
    );
  }
}

/** What is not compiled of the same folders: SQL, JSON, the launcher, files for people. It lies beside the code that reads it, at the same place as in the working copy. */
function copyOthers(): void {
  const folders = readdirSync(dist, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders) {
    for (const file of globSync(`${name}/**/*.*`, { cwd: root, exclude: NOT_READ })) {
      if (file.endsWith('.ts') && existsSync(join(dist, file.replace(/\.ts$/, '.js')))) continue;
      mkdirSync(dirname(join(dist, file)), { recursive: true });
      copyFileSync(join(root, file), join(dist, file));
    }
  }
}

rmSync(dist, { recursive: true, force: true });
compile();
copyOthers();
